/* peel_impl.h - one node key times many ephemeral keys, then a blinding factor times each: both products of a packet have its
 * ephemeral key as base, so they share a preparation (var_impl.h). */
#ifndef KSF_PEEL_IMPL_H
#define KSF_PEEL_IMPL_H
#include "ecmult_impl.h"

/* What stands before `secrets` is public and is what peel_shared leaves to peel_next. */
typedef struct ksf_peel_space {
    ksf_node_key *key; /* n: the ephemeral keys */
    uint32_t *lane;    /* n: packet i is in lane[i] % KSF_LANES of vector lane[i] / KSF_LANES; KSF_NO_LANE */
    ksf_ge *prepared;  /* fes * KSF_VAR_PREPARED: odd multiples of the ephemeral keys */
    uint8_t *secrets;
    ksf_scalar *blinding; /* fes * KSF_LANES, as lane */
    uint8_t *blind;       /* n * 65, as packet or as asked: E, ss */
    uint8_t *product;     /* fes * KSF_LANES * 33, as lane */
    uint8_t *digest;      /* n * 32, as blind, or as lane */
    ksf_glv *glv;         /* pass_fes, as the following */
    ksf_ge *point, *result;
    ksf_var_space var;
    uint8_t *end;
    size_t fes, pass_fes;
} ksf_peel_space;

#define KSF_NO_LANE UINT32_MAX

static uint8_t *ksf_peel_layout(ksf_peel_space *s, uint8_t *at, size_t n) {
    s->fes = (n + KSF_LANES - 1) / KSF_LANES;
    s->pass_fes = s->fes < KSF_PASS_FES ? s->fes : KSF_PASS_FES;
    const size_t lanes = s->fes * KSF_LANES;
    s->key = (ksf_node_key *)at, at += ksf_round_up(n * sizeof(ksf_node_key), 64);
    s->lane = (uint32_t *)at, at += ksf_round_up(n * sizeof(uint32_t), 64);
    s->prepared = (ksf_ge *)at, at += ksf_round_up(s->fes * KSF_VAR_PREPARED * sizeof(ksf_ge), 64);
    s->secrets = at;
    s->blinding = (ksf_scalar *)at, at += ksf_round_up(lanes * sizeof(ksf_scalar), 64);
    s->blind = at, at += ksf_round_up(n * KSF_BLIND_BYTES, 64);
    s->product = at, at += ksf_round_up(lanes * KSF_POINT_BYTES, 64);
    s->digest = at, at += ksf_round_up(lanes * KSF_SHA256_BYTES, 64);
    s->glv = (ksf_glv *)at, at += ksf_round_up(s->pass_fes * sizeof(ksf_glv), 64);
    s->point = (ksf_ge *)at, at += ksf_round_up(s->pass_fes * sizeof(ksf_ge), 64);
    s->result = (ksf_ge *)at, at += ksf_round_up(s->pass_fes * sizeof(ksf_ge), 64);
    at = ksf_var_layout(&s->var, at, s->pass_fes);
    s->end = at;
    return at;
}

/* product rows of vectors first..first+fes-1 from s->result. */
static void ksf_peel_serialize(const ksf_peel_space *s, size_t first, size_t fes) {
    for (size_t f = 0; f < fes; f++) {
        ksf_fe_normalize(&s->result[f].x);
        ksf_fe_normalize(&s->result[f].y);
        for (unsigned l = 0; l < KSF_LANES; l++)
            ksf_ge_serialize(s->product + KSF_POINT_BYTES * ((first + f) * KSF_LANES + l), &s->result[f], l, 0);
    }
}

/* Decompresses the ephemeral keys and gives those that are points a lane each. Public. Returns how many. */
static size_t ksf_peel_load(const ksf_peel_block *peel, const ksf_peel_space *s) {
    size_t count = 0;
    for (size_t i = 0; i < peel->n; i++) {
        s->key[i] = (ksf_node_key){.loaded = peel->statuses[i].code != KSF_OK};
        memcpy(s->key[i].id, peel->ephemeral + peel->stride * i, KSF_POINT_BYTES);
    }
    ksf_keys_load(s->key, peel->n, NULL);
    for (size_t i = 0; i < peel->n; i++) {
        s->lane[i] = KSF_NO_LANE;
        if (s->key[i].valid)
            s->lane[i] = (uint32_t)count++;
        else if (peel->statuses[i].code == KSF_OK)
            peel->statuses[i] = (ksf_status){.code = KSF_ERR_EPHEMERAL_KEY};
    }
    return count;
}

/* See ecmult.h, peel_shared. */
static void ksf_ecmult_peel_shared(const ksf_peel_block *peel, void *scratch) {
    if (!peel->n) return;
    ksf_peel_space s;
    (void)ksf_peel_layout(&s, scratch, peel->n);
    const size_t count = ksf_peel_load(peel, &s), used = (count + KSF_LANES - 1) / KSF_LANES;
    ksf_scalar k;
    ksf_scalar_load(&k, peel->node_privkey);
    for (unsigned l = 0; l < KSF_LANES; l++) ksf_glv_set_lane(s.glv, l, &k);
    size_t at = 0; /* packet */
    for (size_t first = 0; first < used; first += s.pass_fes) {
        const size_t fes = used - first < s.pass_fes ? used - first : s.pass_fes;
        for (size_t f = 0; f < fes; f++) ksf_ge_set_base(&s.point[f]);
        for (; at < peel->n && (s.lane[at] == KSF_NO_LANE || s.lane[at] / KSF_LANES < first + fes); at++)
            if (s.lane[at] != KSF_NO_LANE)
                ksf_ge_set_lane(&s.point[s.lane[at] / KSF_LANES - first], s.lane[at] % KSF_LANES, s.key[at].point);
        ksf_ge *prepared = s.prepared + KSF_VAR_PREPARED * first;
        ksf_var_prepare(prepared, s.point, fes, &s.var);
        ksf_var_mul(s.result, prepared, s.glv, 0, fes, &s.var);
        ksf_peel_serialize(&s, first, fes);
    }
    ksf_sha256_rows(peel->sha256, s.digest, s.product, KSF_POINT_BYTES, KSF_POINT_BYTES, count);
    for (size_t i = 0; i < peel->n; i++) {
        uint8_t *const out = peel->shared_secrets + (size_t)KSF_SHA256_BYTES * i;
        if (s.lane[i] == KSF_NO_LANE)
            memset(out, 0, KSF_SHA256_BYTES);
        else
            memcpy(out, s.digest + (size_t)KSF_SHA256_BYTES * s.lane[i], KSF_SHA256_BYTES);
    }
    ksf_wipe(&k, sizeof k);
    ksf_wipe(s.secrets, (size_t)(s.end - s.secrets));
}

/* See ecmult.h, peel_next. A blinding factor that is 0 mod n has no next key: that packet's status says so. */
static void ksf_ecmult_peel_next(const ksf_peel_block *peel, const uint32_t *index, size_t m, void *scratch) {
    static const ksf_scalar one = {{1, 0, 0, 0}};
    ksf_peel_space s;
    (void)ksf_peel_layout(&s, scratch, peel->n);
    for (size_t j = 0; j < m; j++) {
        memcpy(s.blind + KSF_BLIND_BYTES * j, peel->ephemeral + peel->stride * index[j], KSF_POINT_BYTES);
        memcpy(s.blind + KSF_BLIND_BYTES * j + KSF_POINT_BYTES, peel->shared_secrets + (size_t)KSF_SHA256_BYTES * index[j],
               KSF_SHA256_BYTES);
    }
    ksf_sha256_rows(peel->sha256, s.digest, s.blind, KSF_BLIND_BYTES, KSF_BLIND_BYTES, m);
    for (size_t j = 0; j < m;) {
        /* a run of neighbouring vectors with something asked in each; lanes that nobody asked for multiply by 1 */
        const size_t begin = j, first = s.lane[index[j]] / KSF_LANES;
        size_t fes = 1;
        for (size_t l = 0; l < s.pass_fes * KSF_LANES && first * KSF_LANES + l < s.fes * KSF_LANES; l++)
            s.blinding[first * KSF_LANES + l] = one;
        for (; j < m; j++) {
            const size_t f = s.lane[index[j]] / KSF_LANES - first;
            if (f > fes || f >= s.pass_fes) break;
            fes = f + 1;
            ksf_scalar *b = &s.blinding[s.lane[index[j]]];
            ksf_scalar_load(b, s.digest + KSF_SHA256_BYTES * j);
            ksf_scalar_reduce_once(b, 0);
            uint64_t valid = ksf_scalar_valid(b);
            KSF_DECLASSIFY(&valid, sizeof valid); /* the status says so */
            if (KSF_LIKELY(valid)) continue;
            *b = one;
            peel->statuses[index[j]] = (ksf_status){.code = KSF_ERR_EPHEMERAL_KEY};
        }
        for (size_t l = 0; l < fes * KSF_LANES; l++)
            ksf_glv_set_lane(&s.glv[l / KSF_LANES], l % KSF_LANES, &s.blinding[first * KSF_LANES + l]);
        ksf_var_mul(s.result, s.prepared + KSF_VAR_PREPARED * first, s.glv, 1, fes, &s.var);
        ksf_peel_serialize(&s, first, fes);
        for (size_t k = begin; k < j; k++) {
            uint8_t *const out = peel->next_ephemeral + (size_t)KSF_POINT_BYTES * index[k];
            memcpy(out, s.product + (size_t)KSF_POINT_BYTES * s.lane[index[k]], KSF_POINT_BYTES);
            KSF_DECLASSIFY(out, KSF_POINT_BYTES); /* it travels in the next packet */
            if (peel->statuses[index[k]].code != KSF_OK) memset(out, 0, KSF_POINT_BYTES);
        }
    }
    ksf_wipe(s.secrets, (size_t)(s.end - s.secrets));
}

static size_t ksf_ecmult_scratch_bytes(size_t block) {
    ksf_chain_space chain;
    ksf_peel_space peel;
    const size_t a = (size_t)ksf_chain_layout(&chain, NULL, block), b = (size_t)ksf_peel_layout(&peel, NULL, block);
    return a > b ? a : b; /* point_mul's is less than the chain's */
}

#endif
