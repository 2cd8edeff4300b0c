/* diff_libsecp.c - an implementation of the curve slot against libsecp256k1 (the system's, a test dependency only).
 *
 *     diff_libsecp <implementation> [multiplications] [chains] [seed]
 *
 * Products by G and by node keys with every window and without tables, edge scalars and edge points, batch sizes around the lane
 * counts, key chains and peeling with mixed hop counts, windows and bad items. Exit status 0: all equal; 77: this CPU cannot run it. */
#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include "support.h"

static secp256k1_context *ctx;
static const ksf_ecmult_impl *impl;
static const ksf_sha256_impl *sha256 = &ksf_sha256_portable;

enum { N_KEYS = 48 };
static ksf_node_key keys[N_KEYS];
static secp256k1_pubkey pubkeys[N_KEYS];
static size_t checked;

static const uint8_t order[32] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE,
                                  0xBA, 0xAE, 0xDC, 0xE6, 0xAF, 0x48, 0xA0, 0x3B, 0xBF, 0xD2, 0x5E, 0x8C, 0xD0, 0x36, 0x41, 0x41};

/* r = a + d mod 2^256, d small and signed */
static void add_small(uint8_t r[32], const uint8_t a[32], int d) {
    for (int i = 31; i >= 0; i--) {
        d += a[i];
        r[i] = (uint8_t)d;
        d >>= 8;
    }
}
/* Scalars that recodings and formulas find hardest. Returns how many. */
static size_t edge_scalars(uint8_t (*out)[32], size_t max) {
    static const uint8_t zero[32];
    size_t n = 0;
    for (int d = 1; d <= 20; d++) add_small(out[n++], zero, d), add_small(out[n++], order, -d);
    uint8_t half[32]; /* (n-1)/2 */
    for (int i = 0, carry = 0; i < 32; i++) half[i] = (uint8_t)(carry << 7 | order[i] >> 1), carry = order[i] & 1;
    for (int d = -2; d <= 3; d++) add_small(out[n++], half, d);
    for (int bit = 0; bit < 256; bit += 1) { /* 2^bit: runs of equal digits */
        memset(out[n], 0, 32);
        out[n][31 - bit / 8] = (uint8_t)(1 << bit % 8);
        if (bit < 255) n++;
        if (bit >= 8 && bit % 5 == 0) add_small(out[n], out[n - 1], -1), n++;
    }
    memset(out[n], 0xFF, 32), out[n][0] = 0x7F, n++;
    memset(out[n], 0x55, 32), n++;
    memset(out[n], 0xAA, 32), n++;
    /* the one exceptional scalar of a comb split at a one bit of n (window 8, split 17): 2 (2^256 - 2^136) - n, here as control */
    for (int i = 0, borrow = 0; i < 32; i++) {
        const int at = 31 - i, v = (at <= 14 ? (at == 14 ? 0xFE : 0xFF) : 0) - order[at] - borrow;
        out[n][at] = (uint8_t)v;
        borrow = v < 0;
    }
    n++;
    /* the exceptional scalar of products without tables (complete_addition.c) */
    static const uint8_t exceptional[32] = {0xB8, 0xDD, 0xEC, 0x2D, 0x07, 0xF3, 0xAD, 0x8D, 0x3E, 0xD0, 0xDC, 0x05, 0x30, 0x46, 0xC7, 0x6C,
                                            0x06, 0xDA, 0x7C, 0xFC, 0x54, 0xB8, 0x72, 0x1A, 0xA4, 0xB9, 0x65, 0xB1, 0x7B, 0x0B, 0xD6, 0xF2};
    memcpy(out[n++], exceptional, 32);
    KSF_REQUIRE(n <= max, "room for edge scalars");
    return n;
}

static void expected_mul(uint8_t out[33], const secp256k1_pubkey *point, const uint8_t scalar[32]) {
    secp256k1_pubkey r;
    size_t len = 33;
    if (point) {
        r = *point;
        KSF_REQUIRE(secp256k1_ec_pubkey_tweak_mul(ctx, &r, scalar), "libsecp256k1 refuses");
    } else {
        KSF_REQUIRE(secp256k1_ec_pubkey_create(ctx, &r, scalar), "libsecp256k1 refuses");
    }
    KSF_REQUIRE(secp256k1_ec_pubkey_serialize(ctx, out, &len, &r, SECP256K1_EC_COMPRESSED), "serialize");
}

/* n scalars times the keys of key_index, or times G */
static void check_mul(const uint8_t *scalars, const uint32_t *key_index, size_t n, const char *what) {
    uint8_t *out = ksf_test_alloc(33 * n), *scratch = ksf_test_alloc(impl->scratch_bytes(n));
    ksf_status *statuses = ksf_test_alloc(n * sizeof *statuses);
    impl->point_mul(&(ksf_point_mul){n, scalars, key_index ? keys : NULL, key_index, out, statuses}, scratch);
    for (size_t i = 0; i < n; i++) {
        uint8_t want[33];
        expected_mul(want, key_index ? &pubkeys[key_index[i]] : NULL, scalars + 32 * i);
        KSF_REQUIRE(statuses[i].code == KSF_OK && !memcmp(out + 33 * i, want, 33), "%s %s: product %zu of %zu differs", impl->info.name,
                    what, i, n);
    }
    checked += n;
    free(out), free(scratch), free(statuses);
}

static void load_keys(void) {
    for (int i = 0; i < N_KEYS; i++) {
        uint8_t secret[32] = {0};
        size_t len = 33;
        ksf_test_scalar(secret);
        /* edge points: G, 2G, -G, and small multiples */
        if (i < 8) memset(secret, 0, 32), secret[31] = (uint8_t)(i + 1);
        if (i == 8) add_small(secret, order, -1);
        KSF_REQUIRE(secp256k1_ec_pubkey_create(ctx, &pubkeys[i], secret), "key");
        keys[i] = (ksf_node_key){.uses = 1};
        secp256k1_ec_pubkey_serialize(ctx, keys[i].id, &len, &pubkeys[i], SECP256K1_EC_COMPRESSED);
    }
    void *scratch = ksf_test_alloc(impl->scratch_bytes(1));
    impl->load_keys(keys, N_KEYS, scratch);
    for (int i = 0; i < N_KEYS; i++) KSF_REQUIRE(keys[i].valid && keys[i].loaded, "key %d", i);
    free(scratch);
}
static void drop_tables(void) {
    for (int i = 0; i < N_KEYS; i++) free((void *)keys[i].table), keys[i].table = NULL, keys[i].window = 0;
}

/* Bad points are told, in any lane, and change no neighbour. */
static void check_bad_keys(void) {
    enum { N = 37 };
    ksf_node_key bad[N];
    void *scratch = ksf_test_alloc(impl->scratch_bytes(1));
    for (int i = 0; i < N; i++) {
        bad[i] = keys[i % N_KEYS];
        bad[i].loaded = bad[i].valid = 0;
        memset(bad[i].point, 0xEE, 64);
        if (i % 3 == 1) continue;
        ksf_test_fill(bad[i].id + 1, 32);
        bad[i].id[0] = (uint8_t)(i % 7 == 0 ? ksf_test_random() : 2 + (ksf_test_random() & 1));
        if (i % 5 == 0) memset(bad[i].id + 1, 0xFF, 32); /* not below p */
    }
    impl->load_keys(bad, N, scratch);
    size_t refused = 0;
    for (int i = 0; i < N; i++) {
        secp256k1_pubkey p;
        const int want = secp256k1_ec_pubkey_parse(ctx, &p, bad[i].id, 33);
        KSF_REQUIRE(bad[i].valid == want, "key %d: valid %d, libsecp256k1 says %d", i, bad[i].valid, want);
        if (i % 3 == 1) KSF_REQUIRE(!memcmp(bad[i].point, keys[i % N_KEYS].point, 64), "a bad key changed its neighbour %d", i);
        refused += !want;
    }
    KSF_REQUIRE(refused > 0, "no bad key was tried");
    free(scratch);
}

/* Key chains: n onions of 1..max_hops hops; every `bad`-th item is bad in some way. */
static void check_chains(size_t n, size_t max_hops, size_t bad) {
    uint16_t *n_hops = ksf_test_alloc(n * sizeof *n_hops);
    uint32_t *first_row = ksf_test_alloc(n * sizeof *first_row), *row_key = ksf_test_alloc(n * max_hops * sizeof *row_key);
    uint8_t *session = ksf_test_alloc(32 * n), *ephemeral = ksf_test_alloc(33 * n), *secrets = ksf_test_alloc(32 * n * max_hops);
    ksf_status *statuses = ksf_test_alloc(n * sizeof *statuses);
    void *scratch = ksf_test_alloc(impl->scratch_bytes(n));
    uint32_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        n_hops[i] = (uint16_t)(1 + ksf_test_random() % max_hops);
        first_row[i] = rows;
        for (int h = 0; h < n_hops[i]; h++) row_key[rows++] = (uint32_t)(ksf_test_random() % N_KEYS);
        ksf_test_scalar(session + 32 * i);
        if (!bad || i % bad) continue;
        if (i % 3 == 0)
            statuses[i].code = KSF_ERR_NODE_KEY;
        else if (i % 3 == 1)
            memset(session + 32 * i, 0, 32);
        else
            memcpy(session + 32 * i, order, 32);
    }
    memset(ephemeral, 0xEE, 33 * n), memset(secrets, 0xEE, 32 * (size_t)rows);
    impl->key_chain(&(ksf_key_chain){n, n_hops, first_row, row_key, keys, session, ephemeral, secrets, statuses, sha256}, scratch);
    for (size_t i = 0; i < n; i++) {
        uint8_t e[32], want[33], point[65], b[32], zero[33] = {0};
        if (bad && i % bad == 0) {
            KSF_REQUIRE(statuses[i].code == (i % 3 ? KSF_ERR_SESSION_KEY : KSF_ERR_NODE_KEY), "item %zu: code %d", i, statuses[i].code);
            KSF_REQUIRE(!memcmp(ephemeral + 33 * i, zero, 33), "a bad item's outputs are zero");
            for (int h = 0; h < n_hops[i]; h++)
                KSF_REQUIRE(!memcmp(secrets + 32 * (first_row[i] + h), zero, 32), "a bad item's outputs are zero");
            continue;
        }
        KSF_REQUIRE(statuses[i].code == KSF_OK, "item %zu: code %d", i, statuses[i].code);
        memcpy(e, session + 32 * i, 32);
        for (int h = 0; h < n_hops[i]; h++) {
            const uint32_t row = first_row[i] + (uint32_t)h;
            expected_mul(want, NULL, e);
            if (h == 0) KSF_REQUIRE(!memcmp(want, ephemeral + 33 * i, 33), "chain of %zu: E of item %zu", n, i);
            KSF_REQUIRE(secp256k1_ecdh(ctx, b, &pubkeys[row_key[row]], e, NULL, NULL), "ecdh");
            KSF_REQUIRE(!memcmp(b, secrets + 32 * row, 32), "%s chains of %zu: item %zu of %d hops, hop %d", impl->info.name, n, i,
                        n_hops[i], h);
            memcpy(point, want, 33), memcpy(point + 33, b, 32);
            const uint8_t *message = point;
            const size_t length = 65;
            ksf_sha256_many(sha256, b, &message, &length, 1);
            KSF_REQUIRE(secp256k1_ec_seckey_tweak_mul(ctx, e, b), "blinding");
        }
    }
    for (size_t i = 0, size = impl->scratch_bytes(n); i < size; i += 8) /* spot check of the wiping: no scalar is left anywhere */
        for (size_t k = 0; k < n && k < 2; k++)
            KSF_REQUIRE(i + 32 > size || memcmp((uint8_t *)scratch + i, session + 32 * k, 32) || !session[32 * k + 1],
                        "a session key is left in scratch");
    checked += 2 * rows;
    free(n_hops), free(first_row), free(row_key), free(session), free(ephemeral), free(secrets), free(statuses), free(scratch);
}

/* Peeling: n packets, some with a bad ephemeral key or skipped; the next ephemeral key of about `percent` of them. */
static void check_peel(size_t n, unsigned percent, size_t bad) {
    enum { STRIDE = 66 };
    uint8_t *ephemeral = ksf_test_alloc(STRIDE * n), *secrets = ksf_test_alloc(32 * n), *next = ksf_test_alloc(33 * n), k[32],
            zero[32] = {0};
    secp256k1_pubkey *points = ksf_test_alloc(n * sizeof *points);
    ksf_status *statuses = ksf_test_alloc(n * sizeof *statuses);
    uint32_t *asked = ksf_test_alloc(n * sizeof *asked);
    void *scratch = ksf_test_alloc(impl->scratch_bytes(n));
    size_t m = 0;
    ksf_test_scalar(k);
    for (size_t i = 0; i < n; i++) {
        uint8_t e[32] = {0};
        size_t len = 33;
        ksf_test_scalar(e);
        if (i < 5) memset(e, 0, 31), e[31] = (uint8_t)(i + 1);
        KSF_REQUIRE(secp256k1_ec_pubkey_create(ctx, &points[i], e), "key");
        secp256k1_ec_pubkey_serialize(ctx, ephemeral + STRIDE * i, &len, &points[i], SECP256K1_EC_COMPRESSED);
        if (bad && i % bad == 0 && i % 2)
            statuses[i].code = KSF_ERR_VERSION;
        else if (bad && i % bad == 0)
            memset(ephemeral + STRIDE * i + 1, 0xFF, 32);
    }
    memset(secrets, 0xEE, 32 * n), memset(next, 0xEE, 33 * n);
    const ksf_peel_block peel = {n, k, ephemeral, STRIDE, secrets, next, statuses, sha256};
    impl->peel_shared(&peel, scratch);
    for (size_t i = 0; i < n; i++) {
        uint8_t want[32];
        if (bad && i % bad == 0) {
            KSF_REQUIRE(statuses[i].code == (i % 2 ? KSF_ERR_VERSION : KSF_ERR_EPHEMERAL_KEY), "packet %zu", i);
            KSF_REQUIRE(!memcmp(secrets + 32 * i, zero, 32), "a bad packet's secret is zero");
            continue;
        }
        KSF_REQUIRE(secp256k1_ecdh(ctx, want, &points[i], k, NULL, NULL), "ecdh");
        KSF_REQUIRE(statuses[i].code == KSF_OK && !memcmp(want, secrets + 32 * i, 32), "%s peel of %zu: packet %zu", impl->info.name, n, i);
        if (ksf_test_random() % 100 < percent) asked[m++] = (uint32_t)i;
    }
    impl->peel_next(&peel, asked, m, scratch);
    for (size_t i = 0, j = 0; i < n; i++) {
        uint8_t want[33], message[65], b[32];
        memset(want, 0xEE, 33);
        if (j < m && asked[j] == i) {
            const uint8_t *p = message;
            const size_t length = 65;
            memcpy(message, ephemeral + STRIDE * i, 33), memcpy(message + 33, secrets + 32 * i, 32);
            ksf_sha256_many(sha256, b, &p, &length, 1);
            expected_mul(want, &points[i], b);
            j++;
        }
        KSF_REQUIRE(!memcmp(want, next + 33 * i, 33), "%s peel of %zu, %zu asked: next key of packet %zu", impl->info.name, n, m, i);
    }
    checked += n + m;
    free(ephemeral), free(secrets), free(next), free(points), free(statuses), free(asked), free(scratch);
}

int main(int argc, char **argv) {
    KSF_REQUIRE(argc >= 2, "usage: diff_libsecp <implementation> [multiplications] [chains] [seed]");
    impl = ksf_test_impl(argv[1]);
    if (!impl) return printf("%s: not applicable on this machine\n", argv[1]), 77;
    const size_t muls = argc > 2 ? strtoul(argv[2], NULL, 0) : 2000, chains = argc > 3 ? strtoul(argv[3], NULL, 0) : 600;
    ksf_test_seed = argc > 4 ? strtoull(argv[4], NULL, 0) : 1;
    ctx = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    KSF_REQUIRE(impl->init() == 0, "init");
    load_keys();
    check_bad_keys();

    static uint8_t edges[512][32];
    const size_t n_edges = edge_scalars(edges, 512);
    enum { BATCH = 512 };
    static uint8_t scalars[BATCH * 32];
    static uint32_t index[BATCH];
    static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 64, 65, 129};

    check_mul(edges[0], NULL, n_edges, "edge scalars, G");
    for (size_t done = 0; done < 6 * muls; done += BATCH) { /* as many as with all windows below */
        for (size_t i = 0; i < BATCH; i++) ksf_test_scalar(scalars + 32 * i);
        check_mul(scalars, NULL, BATCH, "random scalars, G");
    }
    /* windows 5..8, none (0), and all of them mixed (9) */
    for (unsigned window = 5; window <= 10; window++) {
        const unsigned mixed = window == 10, none = window == 9;
        if (mixed)
            for (int i = 0; i < N_KEYS; i++) ksf_test_tables(impl, &keys[i], 1, i % 5 ? 4 + (unsigned)i % 5 : 0);
        else if (!none)
            ksf_test_tables(impl, keys, N_KEYS, window);
        const char *what = mixed ? "mixed windows" : none ? "no tables" : "one window";
        for (size_t k = 0; k < 10; k++) { /* every edge scalar times every edge point */
            for (size_t i = 0; i < n_edges; i++) index[i] = (uint32_t)((i + k) % 10);
            check_mul(edges[0], index, n_edges, what);
        }
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (size_t i = 0; i < sizes[s]; i++) ksf_test_scalar(scalars + 32 * i), index[i] = (uint32_t)(ksf_test_random() % N_KEYS);
            check_mul(scalars, index, sizes[s], what);
        }
        for (size_t done = 0; done < muls; done += BATCH) {
            for (size_t i = 0; i < BATCH; i++) ksf_test_scalar(scalars + 32 * i), index[i] = (uint32_t)(ksf_test_random() % N_KEYS);
            check_mul(scalars, index, BATCH, what);
        }
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) check_chains(sizes[s], 1 + ksf_test_random() % 6, s % 2 ? 4 : 0);
        for (size_t done = 0; done < chains; done += 64) check_chains(64, 5, 0);
        if (mixed) check_chains(31, 20, 5), check_chains(511, 4, 7), check_chains(512, 3, 0), check_chains(513, 3, 0);
        drop_tables();
    }
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        check_peel(sizes[s], 100, 0), check_peel(sizes[s], 50, 3), check_peel(sizes[s], 5, 7), check_peel(sizes[s], 0, 1 + s % 2);
    printf("%s: %zu products equal libsecp256k1's\n", impl->info.name, checked);
    return 0;
}
