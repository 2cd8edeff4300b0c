/* Key derivation, and a batch's distinct node keys. */
#include "../util.h"
#include "sphinx.h"

/* SHA-256 states after one block of (type, zero-padded) XOR 0x36.. and XOR 0x5c.. from the initial value: the prepared HMAC
 * keys of BOLT 4's key types. tests/test_sphinx_keys.py derives the keys again by hmac and hashlib. */
static const ksf_hmac_key KSF_SPHINX_KEY[KSF_KEY_TYPES] = {
    [KSF_KEY_RHO] = {{0x2fe65f85, 0x4297681c, 0x574b8517, 0x752ac441, 0x158c054b, 0xa89c7cd7, 0xfc075f1c, 0x3f0a593f},
                     {0x1676cb2a, 0xe1b05874, 0x2f7b7faa, 0x8f4dbc18, 0x5225b4e2, 0x0aa7dd41, 0x74cf700d, 0x01242df3}},
    [KSF_KEY_MU] = {{0x2f7ef187, 0x1f5f3b6f, 0x7a209de6, 0x4ed27262, 0x462e68cd, 0x5be2a61b, 0xb662f57c, 0xc14aaefe},
                    {0x6a9a3789, 0x17ba0938, 0xa5c4dd41, 0x02672102, 0x8b1627c2, 0xe89f43cb, 0xaf79af51, 0x89b99ff5}},
    [KSF_KEY_UM] = {{0x3ece3e18, 0x26192f15, 0x53f38a31, 0x0b4dc3d0, 0xcc8aada7, 0x694e6fe8, 0xbf490000, 0x80165869},
                    {0xc2452a4a, 0x53e81d06, 0x74988a45, 0x1bf27dbb, 0xd1465822, 0x45ca88f6, 0xa9eef4e9, 0x390e5d47}},
    [KSF_KEY_PAD] = {{0x03e3bb0f, 0x228f3304, 0x27cc988e, 0x8ebd0e03, 0xf4e05869, 0x18a06ec8, 0x2e34e591, 0xfc5d30dd},
                     {0xb6407514, 0xe9e3304c, 0x311ea8c4, 0xd23c625d, 0x0f62c4b6, 0x3b58856d, 0xbb7b5518, 0xe9fe951b}},
    [KSF_KEY_AMMAG] = {{0x8c4cfc90, 0x8bad3c28, 0x182a2c56, 0x62bc0fe0, 0x00dfea03, 0xee377e01, 0x758c06cd, 0x2f91fc74},
                       {0xbaa68d2c, 0x58855e88, 0x1d218359, 0x7be7375f, 0xbd4ae001, 0x6114f9c2, 0x5e9e7e2e, 0x9ec99925}},
    [KSF_KEY_AMMAGEXT] = {{0x30877208, 0x0bbdfc0d, 0x8b4d160f, 0x439db608, 0x8368ef7b, 0x5a62fa2d, 0xee06271b, 0x496950b7},
                          {0x336690a2, 0x983be8a6, 0x57ee36f4, 0x5b76ee6f, 0x999c9bce, 0x3896e4ea, 0xb8f8d78f, 0xc39576a0}},
};

void ksf_sphinx_derive(const ksf_sha256_impl *sha256, ksf_key_type type, uint8_t *out, const uint8_t *secrets, size_t n) {
    ksf_hmac_sha256_32_rows(sha256, &KSF_SPHINX_KEY[type], out, secrets, n);
}

/* Node ids are public and x coordinates are as good as random: two words mixed by one multiplication spread well. */
static uint64_t ksf_key_hash(const uint8_t id[33]) {
    const uint64_t x = ksf_load64_le(id + 1) ^ (ksf_load64_le(id + 25) + id[0]);
    return (x * 0x9e3779b97f4a7c15u) >> 32;
}

size_t ksf_keys_collect(ksf_build_batch *batch, size_t cap, uint32_t *buckets, size_t n_buckets) {
    size_t found = 0;
    batch->max_hops = 0;
    memset(buckets, 0xff, n_buckets * sizeof *buckets);
    for (size_t i = 0; i < batch->n; i++) {
        const uint32_t first = batch->first_row[i], n_hops = batch->first_row[i + 1] - first;
        if (n_hops > batch->max_hops) batch->max_hops = n_hops;
        for (uint32_t h = 0; h < n_hops; h++) {
            const uint8_t *id = batch->keysends ? batch->keysends[i].hops[h].node_id : batch->onions[i].node_ids + 33 * (size_t)h;
            size_t at = ksf_key_hash(id) & (n_buckets - 1);
            while (buckets[at] != UINT32_MAX && memcmp(batch->keys[buckets[at]].id, id, 33) != 0) at = (at + 1) & (n_buckets - 1);
            if (buckets[at] == UINT32_MAX) {
                if (found == cap) return cap + 1;
                ksf_node_key *key = &batch->keys[found];
                memset(key, 0, sizeof *key);
                memcpy(key->id, id, 33);
                buckets[at] = (uint32_t)found++;
            }
            batch->keys[buckets[at]].uses++;
            batch->row_key[first + h] = buckets[at];
        }
    }
    return found;
}

/* What puts like routes side by side: their length first (lanes run dry together), then the recipient, then the peer. */
static uint32_t ksf_order_key(const ksf_build_batch *b, uint32_t i) {
    const uint32_t first = b->first_row[i], n_hops = b->first_row[i + 1] - first;
    if (n_hops == 0) return 0;
    const uint32_t length = n_hops < 64 ? n_hops : 63;
    return length << 26 | (b->row_key[first + n_hops - 1] & 0x1fff) << 13 | (b->row_key[first] & 0x1fff);
}

int ksf_build_order(const ksf_build_batch *b, uint32_t *order, uint32_t *scratch) {
    const uint32_t n = (uint32_t)b->n, alike = n ? ksf_order_key(b, 0) : 0;
    uint32_t different = 0;
    for (uint32_t i = 0; i < n; i++) different |= ksf_order_key(b, i) ^ alike;
    if (!different) return 0;
    for (uint32_t i = 0; i < n; i++) scratch[i] = i;
    /* radix sort, least significant digit first */
    uint32_t *from = scratch, *to = order;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        uint32_t count[256] = {0}, at = 0;
        if (!(different >> shift & 0xff)) continue;
        for (uint32_t i = 0; i < n; i++) count[ksf_order_key(b, from[i]) >> shift & 0xff]++;
        for (unsigned d = 0; d < 256; d++) {
            const uint32_t c = count[d];
            count[d] = at;
            at += c;
        }
        for (uint32_t i = 0; i < n; i++) to[count[ksf_order_key(b, from[i]) >> shift & 0xff]++] = from[i];
        uint32_t *t = from;
        from = to;
        to = t;
    }
    if (from != order) memcpy(order, from, n * sizeof *order);
    return 1;
}

/* A block's rows of one hop are sorted by key and cut into groups of eight lanes in every tier that has lanes: of c rows with
 * one key, about c - 7 stand in groups of their own, wherever the cuts fall. */
void ksf_keys_alike(const ksf_build_batch *b, size_t n_keys, size_t block, uint32_t *counts) {
    enum { OTHERS = 7 };
    for (size_t k = 0; k < n_keys; k++) b->keys[k].alike = 0;
    memset(counts, 0, n_keys * sizeof *counts);
    for (size_t begin = 0; begin < b->n; begin += block) {
        const size_t end = begin + block < b->n ? begin + block : b->n;
        size_t live = end - begin;
        for (uint32_t h = 0; live; h++) {
            live = 0;
            for (int pass = 0; pass < 2; pass++)
                for (size_t i = begin; i < end; i++) {
                    const size_t item = b->order ? b->order[i] : i;
                    const uint32_t first = b->first_row[item];
                    if (h >= b->first_row[item + 1] - first) continue;
                    const uint32_t k = b->row_key[first + h];
                    live++;
                    if (pass == 0) {
                        counts[k]++;
                    } else if (counts[k]) {
                        if (counts[k] > OTHERS) b->keys[k].alike += counts[k] - OTHERS;
                        counts[k] = 0;
                    }
                }
        }
    }
}
