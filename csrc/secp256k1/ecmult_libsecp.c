/* ecmult_libsecp.c - libsecp256k1 behind the elliptic-curve slot: the oracle in tests and the fallback at run time.
 *
 * Not linked: the functions are taken at run time from a libsecp256k1 that the process has already (coincurve's), by
 * ksf_libsecp256k1_set. On secrets only its constant-time calls are used: ec_pubkey_create, ecdh, ec_seckey_tweak_mul.
 * Never ec_pubkey_tweak_mul, which is variable-time. A product that must come out as a point goes through ecdh with a hash
 * function that hands the point out. */
#include "ecmult_libsecp.h"

#include "../checkmem.h"
#include "../sha256/sha256.h"
#include "../util.h"
#include "ecmult.h"
#include "scalar_bytes.h"

/* libsecp256k1's public ABI (include/secp256k1.h, include/secp256k1_ecdh.h). */
typedef struct {
    uint8_t data[64];
} ksf_ls_pubkey;
typedef int (*ksf_ls_hash)(uint8_t *out, const uint8_t *x32, const uint8_t *y32, void *data);
typedef int (*ksf_ls_parse)(const void *ctx, ksf_ls_pubkey *out, const uint8_t *in, size_t len);
typedef int (*ksf_ls_serialize)(const void *ctx, uint8_t *out, size_t *len, const ksf_ls_pubkey *in, unsigned flags);
typedef int (*ksf_ls_create)(const void *ctx, ksf_ls_pubkey *out, const uint8_t *scalar);
typedef int (*ksf_ls_tweak_mul)(const void *ctx, uint8_t *scalar, const uint8_t *tweak);
typedef int (*ksf_ls_ecdh)(const void *ctx, uint8_t *out, const ksf_ls_pubkey *point, const uint8_t *scalar, ksf_ls_hash hash, void *data);
enum { KSF_LS_COMPRESSED = 1 << 1 | 1 << 8 }; /* SECP256K1_EC_COMPRESSED */

static struct {
    const void *ctx;
    ksf_ls_parse parse;
    ksf_ls_serialize serialize;
    ksf_ls_create create;
    ksf_ls_tweak_mul tweak_mul;
    ksf_ls_ecdh ecdh;
} ls;

_Static_assert(sizeof(ksf_ls_pubkey) == sizeof(((ksf_node_key *)0)->point), "a node key holds libsecp256k1's pubkey");

/* A hash is used mod n (ec_seckey_tweak_mul refuses n and above; 2^256 < 2n, so one subtraction does). Constant time. */
static void ksf_ls_reduce(uint8_t b[32]) {
    uint8_t t[32];
    const uint8_t below = (uint8_t)ksf_mask(ksf_scalar_sub_order(t, b));
    for (int i = 0; i < 32; i++) b[i] = (uint8_t)((b[i] & below) | (t[i] & ~below));
    ksf_wipe(t, sizeof t);
}

/* That bit, and nothing else of the scalar, becomes public: it is the item's status. */
static int ksf_ls_scalar_ok(const uint8_t e[32]) {
    int ok = ksf_scalar_valid(e);
    KSF_DECLASSIFY(&ok, sizeof ok);
    return ok;
}

/* ecdh's hash function: the compressed point itself. */
static int ksf_ls_point_out(uint8_t *out, const uint8_t *x32, const uint8_t *y32, void *data) {
    (void)data;
    out[0] = 2 | (y32[31] & 1);
    memcpy(out + 1, x32, 32);
    return 1;
}

/* out = compressed(scalar * point); scalar in [1, n-1]. */
static void ksf_ls_mul(uint8_t out[33], const ksf_ls_pubkey *point, const uint8_t scalar[32]) {
    ls.ecdh(ls.ctx, out, point, scalar, ksf_ls_point_out, NULL);
}

/* out = compressed(scalar * G); scalar in [1, n-1]. The point is public wherever this is called for Sphinx. */
static void ksf_ls_base_mul(uint8_t out[33], const uint8_t scalar[32]) {
    ksf_ls_pubkey p;
    size_t len = 33;
    ls.create(ls.ctx, &p, scalar);
    ls.serialize(ls.ctx, out, &len, &p, KSF_LS_COMPRESSED);
    ksf_wipe(&p, sizeof p);
}

/* The secret state of one item; an array of them, and of the points to hash, is the scratch. */
typedef struct {
    uint8_t e[32];
    uint8_t blind[65]; /* compressed(E) || ss, then b at the front */
    uint8_t b[32];
} ksf_ls_item;
enum { KSF_LS_BLOCK = 16 };

typedef struct {
    ksf_ls_pubkey ephemeral[KSF_LS_BLOCK];
    ksf_ls_item item[KSF_LS_BLOCK];
    uint8_t product[KSF_LS_BLOCK][33];
    uint8_t ss[KSF_LS_BLOCK][32];
} ksf_ls_scratch;

/* A larger block than KSF_LS_BLOCK is worked off in pieces, but peel must keep every item's point for peel_next. */
static size_t ksf_ls_scratch_bytes(size_t block) { return sizeof(ksf_ls_scratch) + block * sizeof(ksf_ls_pubkey); }

static int ksf_ls_init(void) { return ls.ecdh ? 0 : -1; }

static void ksf_ls_load_keys(ksf_node_key *keys, size_t n, void *scratch) {
    (void)scratch;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].loaded) continue;
        ksf_ls_pubkey p;
        keys[i].valid = (uint8_t)(keys[i].id[0] >= 2 && keys[i].id[0] <= 3 && ls.parse(ls.ctx, &p, keys[i].id, 33));
        if (keys[i].valid) memcpy(keys[i].point, &p, sizeof p);
        keys[i].loaded = 1;
    }
}

static void ksf_ls_chain_piece(const ksf_key_chain *c, size_t begin, size_t end, ksf_ls_scratch *s) {
    size_t hops = 0;
    for (size_t i = begin; i < end; i++) {
        memset(c->ephemeral + 33 * i, 0, 33);
        memset(c->shared_secrets + 32 * (size_t)c->first_row[i], 0, 32 * (size_t)c->n_hops[i]);
        if (c->statuses[i].code != KSF_OK) continue;
        memcpy(s->item[i - begin].e, c->session_keys + 32 * i, 32);
        if (!ksf_ls_scalar_ok(s->item[i - begin].e)) {
            c->statuses[i].code = KSF_ERR_SESSION_KEY;
            continue;
        }
        if (c->n_hops[i] > hops) hops = c->n_hops[i];
    }
    for (size_t h = 0; h < hops; h++) {
        size_t m = 0;
        uint32_t live[KSF_LS_BLOCK];
        for (size_t i = begin; i < end; i++) {
            if (c->statuses[i].code != KSF_OK || h >= c->n_hops[i]) continue;
            ksf_ls_item *t = &s->item[i - begin];
            const ksf_node_key *key = &c->keys[c->row_key[c->first_row[i] + h]];
            ksf_ls_mul(s->product[m], (const ksf_ls_pubkey *)key->point, t->e);
            if (h == 0 || h + 1 < c->n_hops[i]) ksf_ls_base_mul(t->blind, t->e);
            if (h == 0) {
                memcpy(c->ephemeral + 33 * i, t->blind, 33);
                KSF_DECLASSIFY(c->ephemeral + 33 * i, 33); /* the packet's public_key */
            }
            live[m++] = (uint32_t)i;
        }
        ksf_sha256_rows(c->sha256, s->ss[0], s->product[0], 33, 33, m);
        for (size_t j = 0; j < m; j++) {
            const size_t i = live[j];
            memcpy(c->shared_secrets + 32 * ((size_t)c->first_row[i] + h), s->ss[j], 32);
            memcpy(s->item[i - begin].blind + 33, s->ss[j], 32);
        }
        for (size_t j = 0; j < m; j++) {
            const size_t i = live[j];
            ksf_ls_item *t = &s->item[i - begin];
            if (h + 1 >= c->n_hops[i]) continue;
            ksf_sha256_rows(c->sha256, t->b, t->blind, 65, 65, 1);
            ksf_ls_reduce(t->b);
            int ok = ls.tweak_mul(ls.ctx, t->e, t->b);
            KSF_DECLASSIFY(&ok, sizeof ok); /* becomes the item's status: b is 0 mod n once in 2^256 */
            if (!ok) {
                c->statuses[i].code = KSF_ERR_SESSION_KEY;
                c->statuses[i].hop = (uint16_t)(h + 1);
                memset(c->ephemeral + 33 * i, 0, 33);
                ksf_wipe(c->shared_secrets + 32 * (size_t)c->first_row[i], 32 * (size_t)c->n_hops[i]);
            }
        }
    }
}

static void ksf_ls_key_chain(const ksf_key_chain *c, void *scratch) {
    for (size_t i = 0; i < c->n; i += KSF_LS_BLOCK) ksf_ls_chain_piece(c, i, i + KSF_LS_BLOCK < c->n ? i + KSF_LS_BLOCK : c->n, scratch);
    ksf_wipe(scratch, sizeof(ksf_ls_scratch));
}

static void ksf_ls_point_mul(const ksf_point_mul *m, void *scratch) {
    (void)scratch;
    for (size_t i = 0; i < m->n; i++) {
        uint8_t *out = m->out + 33 * i;
        memset(out, 0, 33);
        if (m->statuses[i].code != KSF_OK) continue;
        if (!ksf_ls_scalar_ok(m->scalars + 32 * i))
            m->statuses[i].code = KSF_ERR_SCALAR;
        else if (m->keys)
            ksf_ls_mul(out, (const ksf_ls_pubkey *)m->keys[m->key_index[i]].point, m->scalars + 32 * i);
        else
            ksf_ls_base_mul(out, m->scalars + 32 * i);
    }
}

static void ksf_ls_peel_shared(const ksf_peel_block *p, void *scratch) {
    ksf_ls_scratch *s = scratch;
    ksf_ls_pubkey *points = (ksf_ls_pubkey *)(s + 1);
    for (size_t begin = 0; begin < p->n; begin += KSF_LS_BLOCK) {
        const size_t end = begin + KSF_LS_BLOCK < p->n ? begin + KSF_LS_BLOCK : p->n;
        for (size_t i = begin; i < end; i++) {
            const uint8_t *id = p->ephemeral + p->stride * i;
            memset(s->product[i - begin], 0, 33);
            if (p->statuses[i].code != KSF_OK) continue;
            if (id[0] < 2 || id[0] > 3 || !ls.parse(ls.ctx, &points[i], id, 33)) {
                p->statuses[i].code = KSF_ERR_EPHEMERAL_KEY;
                continue;
            }
            ksf_ls_mul(s->product[i - begin], &points[i], p->node_privkey);
        }
        ksf_sha256_rows(p->sha256, p->shared_secrets + 32 * begin, s->product[0], 33, 33, end - begin);
        for (size_t i = begin; i < end; i++)
            if (p->statuses[i].code != KSF_OK) memset(p->shared_secrets + 32 * i, 0, 32);
    }
}

static void ksf_ls_peel_next(const ksf_peel_block *p, const uint32_t *index, size_t m, void *scratch) {
    ksf_ls_scratch *s = scratch;
    const ksf_ls_pubkey *points = (const ksf_ls_pubkey *)(s + 1);
    for (size_t j = 0; j < m; j++) {
        const size_t i = index[j];
        ksf_ls_item *t = s->item;
        memcpy(t->blind, p->ephemeral + p->stride * i, 33);
        memcpy(t->blind + 33, p->shared_secrets + 32 * i, 32);
        ksf_sha256_rows(p->sha256, t->b, t->blind, 65, 65, 1);
        ksf_ls_reduce(t->b);
        ksf_ls_mul(p->next_ephemeral + 33 * i, &points[i], t->b);
        KSF_DECLASSIFY(p->next_ephemeral + 33 * i, 33); /* travels in the next packet */
    }
    ksf_wipe(scratch, sizeof *s);
}

static size_t ksf_ls_no_table(unsigned window) {
    (void)window;
    return 0;
}

const ksf_ecmult_impl ksf_ecmult_libsecp256k1 = {
    .info = {"libsecp256k1", "libsecp256k1 through coincurve: constant-time ecdh and pubkey_create, one scalar at a time", 0},
    .lanes = 1,
    .block = KSF_LS_BLOCK,
    .peel_block = KSF_LS_BLOCK,
    .init = ksf_ls_init,
    .scratch_bytes = ksf_ls_scratch_bytes,
    .load_keys = ksf_ls_load_keys,
    .table_bytes = ksf_ls_no_table,
    .table_scratch_bytes = ksf_ls_no_table,
    .table_build = NULL,
    .key_chain = ksf_ls_key_chain,
    .point_mul = ksf_ls_point_mul,
    .peel_shared = ksf_ls_peel_shared,
    .peel_next = ksf_ls_peel_next,
};

int ksf_libsecp256k1_set(const ksf_libsecp256k1 *f) {
    if (!f->context || !f->ec_pubkey_parse || !f->ec_pubkey_serialize || !f->ec_pubkey_create || !f->ec_seckey_tweak_mul || !f->ecdh)
        return -1;
    ls.ctx = f->context;
    ls.parse = (ksf_ls_parse)(uintptr_t)f->ec_pubkey_parse;
    ls.serialize = (ksf_ls_serialize)(uintptr_t)f->ec_pubkey_serialize;
    ls.create = (ksf_ls_create)(uintptr_t)f->ec_pubkey_create;
    ls.tweak_mul = (ksf_ls_tweak_mul)(uintptr_t)f->ec_seckey_tweak_mul;
    ls.ecdh = (ksf_ls_ecdh)(uintptr_t)f->ecdh;
    return 0;
}
