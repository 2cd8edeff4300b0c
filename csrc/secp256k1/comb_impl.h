/* comb_impl.h - many scalars times points that have a table: odd digits select from the tables, a tree of affine additions sums
 * them, and every level of the tree shares one inversion among all products of the pass (docs/batched-ecdh.md).
 *
 * No addition is exceptional, for any scalar in [1, n-1]. Digits are odd, so a run of them with weights from 2^s on is at least
 * 2^s in magnitude and the run below it is less: two runs that meet in the tree are neither equal nor opposite as integers. As
 * w (nw-1) < bits of n, sum and difference of any two are at most 2^bits < 2n, so only a sum or difference of +-n is left to
 * exclude, and n is odd: not where both runs are multiples of 2^w; not below the split, where both are too small; and where the
 * lower half A meets the upper half B, A + B is the (odd) scalar, in [1, n-1], and A - B = +-n would put the odd multiple B of
 * 2^(w split) where n's bit w*split, being 0, leaves no room for one. */
#ifndef KSF_COMB_IMPL_H
#define KSF_COMB_IMPL_H
#include "hop_table_impl.h"

/* Scalars of one group, all with tables of one window. */
typedef struct ksf_comb_group {
    ksf_comb comb;
    uint8_t lanes;                         /* in use; the others repeat the last one's work, and it is thrown away */
    uint8_t uniform;                       /* one table for all lanes */
    uint32_t index[KSF_GROUP_LANES];       /* of the scalar, and of the result */
    const uint8_t *table[KSF_GROUP_LANES]; /* public */
    uint8_t *out;                          /* result i at out + stride * i, compressed */
    size_t stride;
} ksf_comb_group;

/* Room for one pass. */
typedef struct ksf_comb_space {
    ksf_ge *points;    /* groups * KSF_GROUP_FES * KSF_COMB_MAX_WINDOWS */
    ksf_slot *slots;   /* half as many */
    ksf_add_job *jobs; /* half as many */
    uint8_t *digits;   /* groups * KSF_COMB_MAX_WINDOWS * KSF_GROUP_LANES */
    uint8_t *negate;   /* groups * KSF_GROUP_LANES */
} ksf_comb_space;

#define KSF_COMB_FES(groups) ((size_t)(groups)*KSF_GROUP_FES * KSF_COMB_MAX_WINDOWS)

static uint8_t *ksf_comb_layout(ksf_comb_space *s, uint8_t *at, size_t groups) {
    const size_t points = KSF_COMB_FES(groups), half = points / 2;
    s->points = (ksf_ge *)at, at += ksf_round_up(points * sizeof(ksf_ge), 64);
    s->slots = (ksf_slot *)at, at += ksf_round_up(half * sizeof(ksf_slot), 64);
    s->jobs = (ksf_add_job *)at, at += ksf_round_up(half * sizeof(ksf_add_job), 64);
    s->digits = at, at += ksf_round_up(groups * KSF_COMB_MAX_WINDOWS * KSF_GROUP_LANES, 64);
    s->negate = at, at += ksf_round_up(groups * KSF_GROUP_LANES, 64);
    return at;
}

/* -- selection ----------------------------------------------------------------------------------------------------- */
/* A run of groups whose lanes all use one table: a sub-table serves the whole run while it is in the first-level cache. */
KSF_INLINE void ksf_comb_select_run(ksf_ge *points, const uint8_t *digits, const uint8_t *table, unsigned groups, const unsigned w,
                                    const unsigned nw) {
    for (unsigned j = 0; j < nw; j++) {
        const uint8_t *subtable = table + ((size_t)j * KSF_ENTRY_BYTES << (w - 1));
        unsigned g = 0;
        for (; g + KSF_BLEND_GROUPS <= groups; g += KSF_BLEND_GROUPS) {
            ksf_ge *out[KSF_BLEND_GROUPS];
            const uint8_t *d[KSF_BLEND_GROUPS];
            for (unsigned k = 0; k < KSF_BLEND_GROUPS; k++) {
                out[k] = points + (size_t)(g + k) * KSF_GROUP_FES * nw + j;
                d[k] = digits + ((size_t)(g + k) * KSF_COMB_MAX_WINDOWS + j) * KSF_GROUP_LANES;
            }
            ksf_select_shared(out, nw, subtable, w, d, KSF_BLEND_GROUPS);
        }
        for (; g < groups; g++) {
            ksf_ge *out = points + (size_t)g * KSF_GROUP_FES * nw + j;
            const uint8_t *d = digits + ((size_t)g * KSF_COMB_MAX_WINDOWS + j) * KSF_GROUP_LANES;
            ksf_select_shared(&out, nw, subtable, w, &d, 1);
        }
    }
}
/* One group with several tables. */
KSF_INLINE void ksf_comb_select_mixed(ksf_ge *points, const uint8_t *digits, const ksf_comb_group *group, const unsigned w,
                                      const unsigned nw) {
    const uint8_t *table[KSF_GROUP_LANES];
    uint8_t lanes[KSF_GROUP_LANES];
    unsigned n = 0;
    for (unsigned l = 0; l < KSF_GROUP_LANES; l++) {
        unsigned t = 0;
        while (t < n && table[t] != group->table[l]) t++;
        if (t == n) table[n] = group->table[l], lanes[n++] = 0;
        lanes[t] |= (uint8_t)(1u << l);
    }
    for (unsigned j = 0; j < nw; j++) {
        ksf_select_mixed(points + j, nw, table, lanes, n, w, digits + (size_t)j * KSF_GROUP_LANES);
        for (unsigned t = 0; t < n; t++) table[t] += (size_t)KSF_ENTRY_BYTES << (w - 1);
    }
}
/* The same for each window, so that it is a constant in the loops. */
#define KSF_SELECT_WINDOW(w, nw, split)                                                                                                    \
    static __attribute__((noinline)) void ksf_comb_select_run_w##w(ksf_ge *points, const uint8_t *digits, const uint8_t *table,            \
                                                                   unsigned groups) {                                                      \
        ksf_comb_select_run(points, digits, table, groups, w, nw);                                                                         \
    }                                                                                                                                      \
    static __attribute__((noinline)) void ksf_comb_select_mixed_w##w(ksf_ge *points, const uint8_t *digits, const ksf_comb_group *group) { \
        ksf_comb_select_mixed(points, digits, group, w, nw);                                                                               \
    }
KSF_COMB_WINDOWS(KSF_SELECT_WINDOW)

static void ksf_comb_select(const ksf_comb_space *s, const ksf_comb_group *groups, size_t n) {
    ksf_ge *points = s->points;
    for (size_t g = 0; g < n;) {
        const ksf_comb_group *first = &groups[g];
        const uint8_t *digits = s->digits + g * KSF_COMB_MAX_WINDOWS * KSF_GROUP_LANES;
        unsigned run = 1;
        if (first->uniform)
            while (g + run < n && groups[g + run].uniform && groups[g + run].table[0] == first->table[0]) run++;
        switch (first->comb.w * 2 + first->uniform) {
#define KSF_SELECT_CASE(w, nw, split)                                   \
    case 2 * (w) + 1:                                                   \
        ksf_comb_select_run_w##w(points, digits, first->table[0], run); \
        break;                                                          \
    case 2 * (w):                                                       \
        ksf_comb_select_mixed_w##w(points, digits, first);              \
        break;
            KSF_COMB_WINDOWS(KSF_SELECT_CASE)
        }
        points += (size_t)run * KSF_GROUP_FES * first->comb.nw;
        g += run;
    }
}

/* -- the tree ------------------------------------------------------------------------------------------------------ */
/* Sums every product's points into its first one. */
static void ksf_comb_sum(const ksf_comb_space *s, const ksf_comb_group *groups, size_t n) {
    for (unsigned step = 1; step <= KSF_COMB_MAX_WINDOWS; step *= 2) {
        ksf_ge *p = s->points;
        size_t jobs = 0;
        for (size_t g = 0; g < n; g++) {
            const unsigned nw = groups[g].comb.nw, split = groups[g].comb.split;
            for (unsigned f = 0; f < KSF_GROUP_FES; f++, p += nw) {
                for (unsigned i = 0; i + step < split; i += 2 * step) s->jobs[jobs++] = (ksf_add_job){p + i, p + i + step, p + i};
                for (unsigned i = split; i + step < nw; i += 2 * step) s->jobs[jobs++] = (ksf_add_job){p + i, p + i + step, p + i};
            }
        }
        if (jobs) ksf_add_many(s->jobs, jobs, s->slots);
    }
    ksf_ge *p = s->points;
    size_t jobs = 0;
    for (size_t g = 0; g < n; g++)
        for (unsigned f = 0; f < KSF_GROUP_FES; f++, p += groups[g].comb.nw)
            s->jobs[jobs++] = (ksf_add_job){p, p + groups[g].comb.split, p};
    ksf_add_many(s->jobs, jobs, s->slots);
}

/* -- a pass -------------------------------------------------------------------------------------------------------- */
/* For each of the n groups, lane by lane: out = scalars[index] * (the table's point), compressed. Scalars are in [1, n-1]. */
static void ksf_comb_pass(const ksf_comb_space *s, const ksf_comb_group *groups, size_t n, const ksf_scalar *scalars) {
    for (size_t g = 0; g < n; g++)
        for (unsigned l = 0; l < KSF_GROUP_LANES; l++)
            s->negate[g * KSF_GROUP_LANES + l] = (uint8_t)ksf_scalar_to_comb(
                s->digits + g * KSF_COMB_MAX_WINDOWS * KSF_GROUP_LANES + l, KSF_GROUP_LANES, &scalars[groups[g].index[l]], &groups[g].comb);
    ksf_comb_select(s, groups, n);
    /* whatever a tool that watches understood of the permutations: what they chose is secret to the last bit */
    KSF_SECRET(s->points, KSF_COMB_FES(n) * sizeof *s->points);
    ksf_comb_sum(s, groups, n);
    ksf_ge *p = s->points;
    for (size_t g = 0; g < n; g++)
        for (unsigned f = 0; f < KSF_GROUP_FES; f++, p += groups[g].comb.nw) {
            ksf_fe_normalize(&p->x);
            ksf_fe_normalize(&p->y);
            for (unsigned l = 0; l < KSF_LANES && f * KSF_LANES + l < groups[g].lanes; l++) {
                const unsigned at = f * KSF_LANES + l;
                ksf_ge_serialize(groups[g].out + groups[g].stride * groups[g].index[at], p, l, s->negate[g * KSF_GROUP_LANES + at]);
            }
        }
}
/* The same in passes of at most `most` groups, of equal size. */
static void ksf_comb_passes(const ksf_comb_space *s, const ksf_comb_group *groups, size_t n, size_t most, const ksf_scalar *scalars) {
    const size_t passes = (n + most - 1) / most;
    for (size_t k = 0, at = 0; k < passes; k++) {
        const size_t count = (n - at + passes - k - 1) / (passes - k);
        ksf_comb_pass(s, groups + at, count, scalars);
        at += count;
    }
}

#endif
