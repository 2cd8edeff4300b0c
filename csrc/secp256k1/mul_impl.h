/* mul_impl.h - a batch of products scalar * G and scalar * node key, whatever tables the keys have: sorts lanes by key, makes
 * groups, and sends them through combs (comb_impl.h) or, without a table, through var_impl.h, in passes that fit the caches.
 *
 * One to KSF_RUN_MOST onions whose keys all have tables go through runs_impl.h.
 *
 * The including file has a tier's lanes and defines KSF_RUN_MOST, KSF_PASS_GROUPS and KSF_PASS_FES, how many groups (with tables) and
 * ksf_fe's of points (without) make a pass: enough to make the shared inversions cheap, few enough for its caches. */
#ifndef KSF_MUL_IMPL_H
#define KSF_MUL_IMPL_H
#include "comb_impl.h"
#include "runs_impl.h"
#include "var_impl.h"

/* For at most n products by G and n by keys. From `runs` on it is secret. */
typedef struct ksf_mul_space {
    const ksf_node_key **key; /* n: in, the key of scalar i */
    ksf_comb_group *groups;   /* ksf_mul_groups(n) */
    uint64_t *order;          /* 2 n */
    ksf_run_space *runs;
    uint8_t *comb_secrets;
    ksf_comb_space comb; /* pass_groups */
    uint8_t *var_secrets;
    ksf_var_space var; /* pass_fes, as the following */
    ksf_ge *point, *prepared;
    ksf_glv *glv;
    uint8_t *end;
    size_t pass_groups, pass_fes;
} ksf_mul_space;

/* Products by G, products by keys, and one group more for every further window among the keys. */
KSF_INLINE size_t ksf_mul_groups(size_t n) { return 2 * ((n + KSF_GROUP_LANES - 1) / KSF_GROUP_LANES) + (n < 4 ? n : 4); }

static uint8_t *ksf_mul_layout(ksf_mul_space *s, uint8_t *at, size_t n) {
    const size_t groups = ksf_mul_groups(n), fes = (n + KSF_LANES - 1) / KSF_LANES;
    s->pass_groups = groups < KSF_PASS_GROUPS ? groups : KSF_PASS_GROUPS;
    s->pass_fes = fes < KSF_PASS_FES ? fes : KSF_PASS_FES;
    s->key = (const ksf_node_key **)at, at += ksf_round_up(n * sizeof *s->key, 64);
    s->groups = (ksf_comb_group *)at, at += ksf_round_up(groups * sizeof(ksf_comb_group), 64);
    s->order = (uint64_t *)at, at += ksf_round_up(2 * n * sizeof(uint64_t), 64);
    s->runs = (ksf_run_space *)at, at += ksf_round_up(sizeof *s->runs, 64);
    s->comb_secrets = at;
    at = ksf_comb_layout(&s->comb, at, s->pass_groups);
    s->var_secrets = at;
    at = ksf_var_layout(&s->var, at, s->pass_fes);
    s->point = (ksf_ge *)at, at += ksf_round_up(s->pass_fes * sizeof(ksf_ge), 64);
    s->prepared = (ksf_ge *)at, at += ksf_round_up(s->pass_fes * KSF_VAR_PREPARED * sizeof(ksf_ge), 64);
    s->glv = (ksf_glv *)at, at += ksf_round_up(s->pass_fes * sizeof(ksf_glv), 64);
    s->end = at;
    return at;
}
/* What ksf_mul_many used, and so what has to be wiped; calls may be or-ed together. */
enum { KSF_USED_RUNS = 1, KSF_USED_COMB = 2, KSF_USED_VAR = 4 };
KSF_INLINE void ksf_mul_wipe(const ksf_mul_space *s, int used) {
    if (used & KSF_USED_RUNS) ksf_wipe(s->runs, sizeof *s->runs);
    if (used & KSF_USED_COMB) ksf_wipe(s->comb_secrets, (size_t)(s->var_secrets - s->comb_secrets));
    if (used & KSF_USED_VAR) ksf_wipe(s->var_secrets, (size_t)(s->end - s->var_secrets));
}

/* -- order --------------------------------------------------------------------------------------------------------- */
/* Rows are sorted by window (0: no table), then by key. */
KSF_INLINE uint64_t ksf_order_entry(const ksf_node_key *key, uint64_t key_number, size_t i) {
    return (uint64_t)(key->table ? key->window : 0) << 60 | (key_number & 0xFFFF) << 32 | (uint32_t)i;
}
/* In place, with room for n more behind. Public. Only the low 16 bits of a key's number count: two keys that agree in them are
 * told apart where it matters, they only mix lanes. */
static void ksf_order_sort(uint64_t *order, size_t n) {
    static const uint8_t shifts[3] = {32, 40, 60};
    uint64_t *from = order, *to = order + n;
    for (int pass = 0; pass < 3; pass++) {
        uint32_t at[256] = {0}, sum = 0;
        const unsigned shift = shifts[pass];
        for (size_t i = 0; i < n; i++) at[from[i] >> shift & 0xFF]++;
        if (at[from[0] >> shift & 0xFF] == n) continue; /* all alike */
        for (int d = 0; d < 256; d++) {
            const uint32_t count = at[d];
            at[d] = sum, sum += count;
        }
        for (size_t i = 0; i < n; i++) to[at[from[i] >> shift & 0xFF]++] = from[i];
        uint64_t *const t = from;
        from = to, to = t;
    }
    if (from != order) memcpy(order, from, n * sizeof *order);
}

/* -- groups -------------------------------------------------------------------------------------------------------- */
/* Lanes past the last scalar repeat it. */
KSF_INLINE void ksf_group_fill(ksf_comb_group *g) {
    for (unsigned l = 1; l < KSF_GROUP_LANES; l++)
        if (l >= g->lanes) g->index[l] = g->index[l - 1], g->table[l] = g->table[l - 1];
}
/* Scalars 0..n-1 times G. Returns how many groups. */
static size_t ksf_groups_of_base(ksf_comb_group *groups, size_t n, uint8_t *out, size_t stride) {
    size_t count = 0;
    for (size_t i = 0; i < n; count++) {
        ksf_comb_group *g = &groups[count];
        g->comb = *ksf_comb_of(KSF_BASE_WINDOW);
        g->out = out, g->stride = stride, g->uniform = 1;
        for (g->lanes = 0; g->lanes < KSF_GROUP_LANES && i < n; g->lanes++, i++)
            g->index[g->lanes] = (uint32_t)i, g->table[g->lanes] = ksf_base_table;
        ksf_group_fill(g);
    }
    return count;
}
/* order[0..n), sorted, all with tables: scalar i times key[i]. Returns how many groups. */
static size_t ksf_groups_of_keys(ksf_comb_group *groups, const uint64_t *order, size_t n, const ksf_node_key *const *key, uint8_t *out,
                                 size_t stride) {
    size_t count = 0;
    for (size_t at = 0; at < n; count++) {
        ksf_comb_group *g = &groups[count];
        const unsigned window = (unsigned)(order[at] >> 60);
        g->comb = *ksf_comb_of(window);
        g->out = out, g->stride = stride, g->uniform = 1;
        for (g->lanes = 0; g->lanes < KSF_GROUP_LANES && at < n && order[at] >> 60 == window; g->lanes++, at++) {
            const uint32_t i = (uint32_t)order[at];
            g->index[g->lanes] = i, g->table[g->lanes] = key[i]->table;
            if (g->table[g->lanes] != g->table[0]) g->uniform = 0;
        }
        ksf_group_fill(g);
    }
    return count;
}

/* -- products ------------------------------------------------------------------------------------------------------ */
/* order[0..n): scalar i times key[i], keys without tables. */
static void ksf_mul_var(const ksf_mul_space *s, const ksf_scalar *scalars, const uint64_t *order, size_t n, uint8_t *out, size_t stride) {
    for (size_t at = 0; at < n;) {
        const size_t lanes = n - at < s->pass_fes * KSF_LANES ? n - at : s->pass_fes * KSF_LANES;
        const size_t fes = (lanes + KSF_LANES - 1) / KSF_LANES;
        for (size_t l = 0; l < fes * KSF_LANES; l++) {
            const uint32_t i = (uint32_t)order[at + (l < lanes ? l : lanes - 1)];
            if (l % KSF_LANES == 0) ksf_ge_set_base(&s->point[l / KSF_LANES]);
            ksf_ge_set_lane(&s->point[l / KSF_LANES], l % KSF_LANES, s->key[i]->point);
            ksf_glv_set_lane(&s->glv[l / KSF_LANES], l % KSF_LANES, &scalars[i]);
        }
        ksf_var_prepare(s->prepared, s->point, fes, &s->var);
        ksf_var_mul(s->point, s->prepared, s->glv, 1, fes, &s->var);
        for (size_t f = 0; f < fes; f++) {
            ksf_fe_normalize(&s->point[f].x);
            ksf_fe_normalize(&s->point[f].y);
            for (size_t l = 0; l < KSF_LANES && f * KSF_LANES + l < lanes; l++)
                ksf_ge_serialize(out + stride * (uint32_t)order[at + f * KSF_LANES + l], &s->point[f], (unsigned)l, 0);
        }
        at += lanes;
    }
}
/* base_out + base_stride * i = scalars[i] * G, i < n_base; key_out + key_stride * i = scalars[i] * s->key[i], i < n_keys, all
 * compressed. keys: the array that s->key points into. Scalars are in [1, n-1]. Returns what ksf_mul_wipe is to be told. */
static int ksf_mul_many(const ksf_mul_space *s, const ksf_scalar *scalars, size_t n_base, uint8_t *base_out, size_t base_stride,
                        size_t n_keys, const ksf_node_key *keys, uint8_t *key_out, size_t key_stride) {
    size_t without = 0;
    for (size_t i = 0; i < n_keys; i++) {
        s->order[i] = ksf_order_entry(s->key[i], (uint64_t)(s->key[i] - keys), i);
        without += !s->key[i]->table;
    }
    if (n_keys && n_keys <= KSF_RUN_MOST && n_base <= n_keys && !without) {
        ksf_runs_mul(s->runs, scalars, n_base, base_out, base_stride, n_keys, s->key, key_out, key_stride);
        return KSF_USED_RUNS;
    }
    if (n_keys) ksf_order_sort(s->order, n_keys);
    size_t groups = ksf_groups_of_base(s->groups, n_base, base_out, base_stride);
    groups += ksf_groups_of_keys(s->groups + groups, s->order + without, n_keys - without, s->key, key_out, key_stride);
    if (groups) ksf_comb_passes(&s->comb, s->groups, groups, s->pass_groups, scalars);
    if (without) ksf_mul_var(s, scalars, s->order, without, key_out, key_stride);
    return (groups ? KSF_USED_COMB : 0) | (without ? KSF_USED_VAR : 0);
}

#endif
