/* ecmult_impl.h - the calls of ecmult.h over the lanes: key chain and point_mul (peel: peel_impl.h). */
#ifndef KSF_ECMULT_IMPL_H
#define KSF_ECMULT_IMPL_H
#include "../sha256/sha256.h"
#include "ecmult.h"
#include "mul_impl.h"

enum { KSF_POINT_BYTES = 33, KSF_BLIND_BYTES = 33 + 32 /* E || ss */ };

static int ksf_ecmult_init(void) {
    ksf_base_table_build();
    return 0;
}

/* -- key chain ----------------------------------------------------------------------------------------------------- */
typedef struct ksf_chain_space {
    uint32_t *item;    /* n: onions still in the batch, most hops first */
    ksf_scalar *e;     /* n, as item: e_h; from here on secret */
    uint8_t *blind;    /* n * 65, as item: E, ss */
    uint8_t *product;  /* n * 33, as item: e * P */
    uint8_t *digest;   /* n * 32, as item: ss, then b */
    ksf_mul_space mul; /* n */
} ksf_chain_space;

static uint8_t *ksf_chain_layout(ksf_chain_space *s, uint8_t *at, size_t n) {
    s->item = (uint32_t *)at, at += ksf_round_up(n * sizeof(uint32_t), 64);
    s->e = (ksf_scalar *)at, at += ksf_round_up(n * sizeof(ksf_scalar), 64);
    s->blind = at, at += ksf_round_up(n * KSF_BLIND_BYTES, 64);
    s->product = at, at += ksf_round_up(n * KSF_POINT_BYTES, 64);
    s->digest = at, at += ksf_round_up(n * KSF_SHA256_BYTES, 64);
    return ksf_mul_layout(&s->mul, at, n);
}

/* An item fails: its outputs are zero. */
static void ksf_chain_fail(const ksf_key_chain *c, uint32_t item, size_t hop) {
    c->statuses[item] = (ksf_status){.code = KSF_ERR_SESSION_KEY, .hop = (uint16_t)hop};
    ksf_wipe(c->ephemeral + (size_t)KSF_POINT_BYTES * item, KSF_POINT_BYTES);
    ksf_wipe(c->shared_secrets + (size_t)KSF_SHA256_BYTES * c->first_row[item], (size_t)KSF_SHA256_BYTES * c->n_hops[item]);
}
/* Scalars outside [1, n-1] leave the batch: one zero would make a lane of every other addition meet infinity. Whether a scalar is
 * valid becomes public here, as the item's status does. Returns how many stay of the first n; those behind follow. */
static size_t ksf_chain_drop_invalid(const ksf_key_chain *c, const ksf_chain_space *s, size_t n, size_t hop) {
    size_t kept = 0;
    for (size_t k = 0; k < n; k++) {
        uint64_t valid = ksf_scalar_valid(&s->e[k]);
        KSF_DECLASSIFY(&valid, sizeof valid);
        if (KSF_UNLIKELY(!valid)) {
            ksf_chain_fail(c, s->item[k], hop);
            continue;
        }
        if (kept != k) s->item[kept] = s->item[k], s->e[kept] = s->e[k];
        kept++;
    }
    return kept;
}
/* item = those whose status is KSF_OK, most hops first, so that the onions of every hop come first; the others' outputs are
 * zeroed. Public. */
static size_t ksf_chain_begin(const ksf_key_chain *c, const ksf_chain_space *s) {
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->statuses[i].code == KSF_OK) {
            s->mul.order[n++] = (uint64_t)(uint16_t)~c->n_hops[i] << 32 | i;
            continue;
        }
        memset(c->ephemeral + KSF_POINT_BYTES * i, 0, KSF_POINT_BYTES);
        memset(c->shared_secrets + (size_t)KSF_SHA256_BYTES * c->first_row[i], 0, (size_t)KSF_SHA256_BYTES * c->n_hops[i]);
    }
    if (n) ksf_order_sort(s->mul.order, n);
    for (size_t k = 0; k < n; k++) {
        s->item[k] = (uint32_t)s->mul.order[k];
        ksf_scalar_load(&s->e[k], c->session_keys + (size_t)32 * s->item[k]);
    }
    return n;
}

/* See ecmult.h, key_chain: all onions in lockstep, hop by hop. */
static void ksf_ecmult_key_chain(const ksf_key_chain *c, void *scratch) {
    ksf_chain_space s;
    (void)ksf_chain_layout(&s, scratch, c->n);
    int used = 0;
    size_t n = ksf_chain_drop_invalid(c, &s, ksf_chain_begin(c, &s), 0);
    for (size_t hop = 0; n > 0; hop++) {
        size_t further = 0; /* onions with a hop after this one */
        for (size_t k = 0; k < n; k++) {
            const uint32_t i = s.item[k];
            s.mul.key[k] = &c->keys[c->row_key[c->first_row[i] + hop]];
            further += c->n_hops[i] > hop + 1;
        }
        used |= ksf_mul_many(&s.mul, s.e, hop ? further : n, s.blind, KSF_BLIND_BYTES, n, c->keys, s.product, KSF_POINT_BYTES);
        ksf_sha256_rows(c->sha256, s.digest, s.product, KSF_POINT_BYTES, KSF_POINT_BYTES, n);
        for (size_t k = 0; k < n; k++) {
            const uint32_t i = s.item[k];
            uint8_t *const blind = s.blind + KSF_BLIND_BYTES * k;
            memcpy(c->shared_secrets + (size_t)KSF_SHA256_BYTES * (c->first_row[i] + hop), s.digest + KSF_SHA256_BYTES * k,
                   KSF_SHA256_BYTES);
            memcpy(blind + KSF_POINT_BYTES, s.digest + KSF_SHA256_BYTES * k, KSF_SHA256_BYTES);
            if (hop > 0) continue;
            KSF_DECLASSIFY(blind, KSF_POINT_BYTES); /* E_0 travels in the packet */
            memcpy(c->ephemeral + (size_t)KSF_POINT_BYTES * i, blind, KSF_POINT_BYTES);
        }
        ksf_sha256_rows(c->sha256, s.digest, s.blind, KSF_BLIND_BYTES, KSF_BLIND_BYTES, further);
        for (size_t k = 0; k < further; k++) {
            ksf_scalar b;
            ksf_scalar_load(&b, s.digest + KSF_SHA256_BYTES * k);
            ksf_scalar_mul(&s.e[k], &s.e[k], &b);
            ksf_wipe(&b, sizeof b);
        }
        n = ksf_chain_drop_invalid(c, &s, further, hop + 1);
    }
    ksf_wipe(s.e, (size_t)((uint8_t *)s.mul.key - (uint8_t *)s.e));
    ksf_mul_wipe(&s.mul, used);
}

/* -- point_mul ----------------------------------------------------------------------------------------------------- */
typedef struct ksf_point_mul_space {
    uint32_t *item;
    ksf_scalar *e;
    uint8_t *product;
    ksf_mul_space mul;
} ksf_point_mul_space;

static uint8_t *ksf_point_mul_layout(ksf_point_mul_space *s, uint8_t *at, size_t n) {
    s->item = (uint32_t *)at, at += ksf_round_up(n * sizeof(uint32_t), 64);
    s->e = (ksf_scalar *)at, at += ksf_round_up(n * sizeof(ksf_scalar), 64);
    s->product = at, at += ksf_round_up(n * KSF_POINT_BYTES, 64);
    return ksf_mul_layout(&s->mul, at, n);
}
/* See ecmult.h, point_mul. */
static void ksf_ecmult_point_mul(const ksf_point_mul *m, void *scratch) {
    ksf_point_mul_space s;
    (void)ksf_point_mul_layout(&s, scratch, m->n);
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        memset(m->out + KSF_POINT_BYTES * i, 0, KSF_POINT_BYTES);
        if (m->statuses[i].code != KSF_OK) continue;
        ksf_scalar_load(&s.e[n], m->scalars + 32 * i);
        uint64_t valid = ksf_scalar_valid(&s.e[n]);
        KSF_DECLASSIFY(&valid, sizeof valid); /* the status says so */
        if (!valid) {
            m->statuses[i] = (ksf_status){.code = KSF_ERR_SCALAR};
            continue;
        }
        if (m->keys) s.mul.key[n] = &m->keys[m->key_index[i]];
        s.item[n++] = (uint32_t)i;
    }
    const int used =
        ksf_mul_many(&s.mul, s.e, m->keys ? 0 : n, s.product, KSF_POINT_BYTES, m->keys ? n : 0, m->keys, s.product, KSF_POINT_BYTES);
    for (size_t k = 0; k < n; k++) memcpy(m->out + (size_t)KSF_POINT_BYTES * s.item[k], s.product + KSF_POINT_BYTES * k, KSF_POINT_BYTES);
    ksf_wipe(s.e, (size_t)((uint8_t *)s.mul.key - (uint8_t *)s.e));
    ksf_mul_wipe(&s.mul, used);
}

#endif
