/* runs_impl.h - scalar * G and scalar * node key for one to a few onions: not onions but the windows of one scalar go into lanes.
 *
 * The nw digits of a comb are cut into KSF_RUNS runs of neighbouring windows, half of them below the split, half above. Every lane
 * adds its run's points up in Jacobian coordinates, then neighbouring runs are added across lanes, the two halves last, and all
 * products share one inversion: one a hop, where the tree of comb_impl.h needs six.
 *
 * No addition is exceptional, for comb_impl.h's reasons: each joins two neighbouring runs of odd digits, and the last one joins
 * the digits below the split with the others. A lane whose run is a window shorter adds some point more in the last step and
 * drops the sum, which may be anything: nothing is inverted before. */
#ifndef KSF_RUNS_IMPL_H
#define KSF_RUNS_IMPL_H
#include "comb_impl.h"

enum {
    KSF_RUNS = KSF_GROUP_LANES > 2 ? KSF_GROUP_LANES : 2,
    KSF_RUN_GROUPS = KSF_RUNS / KSF_GROUP_LANES,
    KSF_RUN_FES = KSF_RUNS / KSF_LANES,
    KSF_RUN_GEJS = KSF_LANES > 1 ? 1 : 2, /* results an onion: both products in lanes of one, or one each */
};

/* For at most KSF_RUN_MOST onions; secret. */
typedef struct ksf_run_space {
    ksf_gej sum[2][KSF_RUN_FES];
    ksf_gej result[KSF_RUN_MOST * KSF_RUN_GEJS];
    ksf_ge affine[KSF_RUN_MOST * KSF_RUN_GEJS];
    ksf_slot slots[KSF_RUN_MOST * KSF_RUN_GEJS];
    uint8_t base_digits[KSF_COMB_MAX_WINDOWS], digits[KSF_COMB_MAX_WINDOWS];
    uint8_t negate[KSF_RUN_MOST][2];
} ksf_run_space;

/* First window of run r, r <= KSF_RUNS. */
KSF_INLINE unsigned ksf_run_start(unsigned nw, unsigned split, unsigned r) {
    const unsigned half = KSF_RUNS / 2;
    return r < half ? split * r / half : split + (nw - split) * (r - half) / half;
}

/* The plan of a comb's runs, and a product to sum by it. */
typedef struct ksf_run_product {
    const uint8_t *digits, *table;
    unsigned w, nw, split, steps;
} ksf_run_product;

KSF_INLINE ksf_run_product ksf_run_plan(const uint8_t *digits, const uint8_t *table, const ksf_comb comb) {
    const unsigned nw = comb.nw, split = comb.split;
    ksf_run_product p = {digits, table, comb.w, nw, split, 0};
    for (unsigned r = 0; r < KSF_RUNS; r++) {
        const unsigned length = ksf_run_start(nw, split, r + 1) - ksf_run_start(nw, split, r);
        if (length > p.steps) p.steps = length;
    }
    return p;
}
/* point[f] = the points of every run's window `step`, coordinates normalized; live[f]: lanes whose run has one (the others get
 * their run's first again). */
KSF_INLINE void ksf_run_select(ksf_ge *point, unsigned *live, const ksf_run_product *p, unsigned step) {
    for (unsigned f = 0; f < KSF_RUN_FES; f++) live[f] = 0;
    for (unsigned g = 0; g < KSF_RUN_GROUPS; g++) {
        const uint8_t *subtable[KSF_GROUP_LANES];
        uint8_t lanes[KSF_GROUP_LANES], digit[KSF_GROUP_LANES];
        for (unsigned l = 0; l < KSF_GROUP_LANES; l++) {
            const unsigned run = g * KSF_GROUP_LANES + l;
            unsigned j = ksf_run_start(p->nw, p->split, run) + step;
            if (j < ksf_run_start(p->nw, p->split, run + 1))
                live[run / KSF_LANES] |= 1u << run % KSF_LANES;
            else
                j -= step;
            subtable[l] = p->table + ((size_t)j * KSF_ENTRY_BYTES << (p->w - 1));
            lanes[l] = (uint8_t)(1u << l);
            digit[l] = p->digits[j];
        }
        ksf_select_mixed(point + g * KSF_GROUP_FES, 1, subtable, lanes, KSF_GROUP_LANES, p->w, digit);
        ksf_wipe(digit, sizeof digit);
    }
    for (unsigned f = 0; f < KSF_RUN_FES; f++) ksf_fe_normalize(&point[f].y);
}
/* sum[f] += point[f] in the live lanes, for n (a constant) elements of one or two products, side by side where the tier gains. */
KSF_INLINE void ksf_run_add(ksf_gej *sum, const ksf_ge *point, const unsigned *live, const unsigned n) {
    const unsigned abreast = n % KSF_ABREAST ? 1 : KSF_ABREAST;
    for (unsigned f = 0; f < n; f += abreast) {
        ksf_gej next[KSF_ABREAST];
        ksf_fe h[KSF_ABREAST];
        ksf_gej_add_ge_abreast(next, sum + f, point + f, h, (int)abreast);
        for (unsigned k = 0; k < abreast; k++) ksf_gej_cmov(&sum[f + k], &next[k], ksf_lane_mask_from_bits(live[f + k]));
    }
}
/* sum[f] = a[f] + b[f], the first two points of every run: no run is shorter. */
KSF_INLINE void ksf_run_begin(ksf_gej *sum, const ksf_ge *a, const ksf_ge *b, const unsigned n) {
    const unsigned abreast = n % KSF_ABREAST ? 1 : KSF_ABREAST;
    for (unsigned f = 0; f < n; f += abreast) ksf_gej_set_sum_abreast(sum + f, a + f, b + f, (int)abreast);
}
/* sum[0..KSF_RUN_FES) and the KSF_RUN_FES behind them: the run sums of two products; the first is left out where first is 1. */
KSF_INLINE void ksf_run_sums(ksf_gej *sum, const ksf_run_product *a, const ksf_run_product *b, int first) {
    ksf_ge begin[2 * KSF_RUN_FES], point[2 * KSF_RUN_FES];
    unsigned live[2 * KSF_RUN_FES];
    const unsigned both = first ? 0 : a->steps < b->steps ? a->steps : b->steps;
    KSF_CHECK(a->steps > 2 && b->steps > 2);
    for (unsigned step = 0; step < both; step++) {
        ksf_ge *const p = step ? point : begin;
        ksf_run_select(p, live, a, step);
        ksf_run_select(p + KSF_RUN_FES, live + KSF_RUN_FES, b, step);
        if (step == 1)
            ksf_run_begin(sum, begin, point, 2 * KSF_RUN_FES);
        else if (step)
            ksf_run_add(sum, point, live, 2 * KSF_RUN_FES);
    }
    for (int k = first; k < 2; k++) {
        const ksf_run_product *p = k ? b : a;
        ksf_gej *mine = sum + (size_t)k * KSF_RUN_FES;
        for (unsigned step = both; step < p->steps; step++) {
            ksf_run_select(step ? point : begin, live, p, step);
            if (step == 1)
                ksf_run_begin(mine, begin, point, KSF_RUN_FES);
            else if (step)
                ksf_run_add(mine, point, live, KSF_RUN_FES);
        }
    }
}
/* For a key's table of each window, so that both windows are constants in the loops. */
#define KSF_RUN_WINDOW(w, nw, split)                                                                                         \
    static __attribute__((noinline)) void ksf_run_sums_w##w(ksf_gej *sum, const uint8_t *base_digits, const uint8_t *digits, \
                                                            const uint8_t *table, int first) {                               \
        const ksf_comb base_comb = *ksf_comb_of(KSF_RUN_BASE_WINDOW), comb = {w, nw, split};                                 \
        const ksf_run_product base = ksf_run_plan(base_digits, ksf_run_base_table, base_comb);                               \
        const ksf_run_product key = ksf_run_plan(digits, table, comb);                                                       \
        ksf_run_sums(sum, &base, &key, first);                                                                               \
    }
KSF_COMB_WINDOWS(KSF_RUN_WINDOW)

KSF_INLINE void ksf_gej_swap_lanes(ksf_gej *r, const ksf_gej *a, unsigned distance) {
    ksf_fe_swap_lanes(&r->x, &a->x, distance);
    ksf_fe_swap_lanes(&r->y, &a->y, distance);
    ksf_fe_swap_lanes(&r->z, &a->z, distance);
}

/* result[0] = sum[0] in lane 0 and sum[1] in lane 1 (or result[k] = sum[k] with one lane), all runs added up. */
static __attribute__((noinline)) void ksf_run_join(ksf_gej *result, ksf_gej (*sum)[KSF_RUN_FES]) {
#if KSF_LANES > 1
    const ksf_lane_mask odd = ksf_lane_mask_from_bits(0xAA & ((1u << KSF_LANES) - 1));
    for (unsigned f = 0; f < KSF_RUN_FES; f++) {
        /* even lanes add the first product's neighbours, odd lanes the second's */
        ksf_gej a, b;
        ksf_gej_swap_lanes(&a, &sum[1][f], 1);
        ksf_gej_swap_lanes(&b, &sum[0][f], 1);
        ksf_gej_cmov(&sum[0][f], &a, odd);
        ksf_gej_cmov(&b, &sum[1][f], odd);
        ksf_gej_add(&sum[0][f], &sum[0][f], &b);
        for (unsigned distance = 2; distance < KSF_LANES; distance *= 2) {
            ksf_gej_swap_lanes(&b, &sum[0][f], distance);
            ksf_gej_add(&sum[0][f], &sum[0][f], &b);
        }
    }
    if (KSF_RUN_FES == 2)
        ksf_gej_add(result, &sum[0][0], &sum[0][KSF_RUN_FES - 1]);
    else
        *result = sum[0][0];
#else
    for (int k = 0; k < 2; k++) ksf_gej_add(&result[k], &sum[k][0], &sum[k][1]);
#endif
}

/* As ksf_mul_many, for n_keys <= KSF_RUN_MOST keys that all have tables, and n_base <= n_keys. */
static void ksf_runs_mul(ksf_run_space *s, const ksf_scalar *scalars, size_t n_base, uint8_t *base_out, size_t base_stride, size_t n_keys,
                         const ksf_node_key *const *key, uint8_t *key_out, size_t key_stride) {
    for (size_t i = 0; i < n_keys; i++) {
        const int key_only = i >= n_base;
        const uint8_t *table = key[i]->table;
        if (!key_only) s->negate[i][0] = (uint8_t)ksf_scalar_to_comb(s->base_digits, 1, &scalars[i], ksf_comb_of(KSF_RUN_BASE_WINDOW));
        s->negate[i][1] = (uint8_t)ksf_scalar_to_comb(s->digits, 1, &scalars[i], ksf_comb_of(key[i]->window));
        switch (key[i]->window) {
#define KSF_RUN_CASE(w, nw, split)                                                \
    case w:                                                                       \
        ksf_run_sums_w##w(s->sum[0], s->base_digits, s->digits, table, key_only); \
        break;
            KSF_COMB_WINDOWS(KSF_RUN_CASE)
        }
        if (key_only) memcpy(s->sum[0], s->sum[1], sizeof s->sum[0]); /* a product nobody reads, that is not exceptional */
        ksf_run_join(s->result + i * KSF_RUN_GEJS, s->sum);
    }
    ksf_ge_set_gej_many(s->affine, s->result, n_keys * KSF_RUN_GEJS, s->slots);
    for (size_t i = 0; i < n_keys * KSF_RUN_GEJS; i++) {
        ksf_fe_normalize(&s->affine[i].x);
        ksf_fe_normalize(&s->affine[i].y);
    }
    for (size_t i = 0; i < n_keys; i++) {
        const ksf_ge *base = &s->affine[i * KSF_RUN_GEJS], *product = &s->affine[i * KSF_RUN_GEJS + KSF_RUN_GEJS - 1];
        if (i < n_base) ksf_ge_serialize(base_out + base_stride * i, base, 0, s->negate[i][0]);
        ksf_ge_serialize(key_out + key_stride * i, product, KSF_LANES > 1, s->negate[i][1]);
    }
}

#endif
