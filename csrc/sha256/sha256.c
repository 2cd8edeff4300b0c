/* sha256.c - hashing and HMAC over an implementation's compress_many: what is shared by all of them. */
#include "sha256.h"
#include "../target.h"
#include "../util.h"

KSF_OPTIMIZE_BEGIN

/* FIPS 180-4, section 5.3.3: the fractional parts of the square roots of the first eight primes. */
const uint32_t ksf_sha256_iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* Section 4.2.2: of the cube roots of the first 64 primes. */
const uint32_t ksf_sha256_k[64] __attribute__((aligned(64))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, /**/
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, /**/
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, /**/
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, /**/
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, /**/
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, /**/
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, /**/
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

enum {
    KSF_CHUNK = 16,     /* lanes that the functions below move at once: a multiple of every implementation's streams */
    KSF_TAIL_DATA = 55, /* data bytes of a last block beside the 0x80 and the length */
};

/* The working set of up to KSF_CHUNK streams; all of it may be SECRET. */
typedef struct ksf_sha256_lanes {
    uint32_t states[KSF_CHUNK][8];
    uint8_t tails[KSF_CHUNK][2 * KSF_SHA256_BLOCK]; /* last blocks, or the outer hash's two blocks */
    const uint8_t *blocks[KSF_CHUNK];
} ksf_sha256_lanes;

KSF_INLINE size_t ksf_min(size_t a, size_t b) { return a < b ? a : b; }

/* 1 or 2: blocks that `data` (< 64) last bytes take with their padding. */
KSF_INLINE size_t ksf_tail_blocks(size_t data) { return data <= KSF_TAIL_DATA ? 1 : 2; }

/* Pads a tail whose first `data` bytes (< 64) are there, for a message of `total` bytes. */
KSF_INLINE void ksf_tail_pad(uint8_t *tail, size_t data, uint64_t total) {
    const size_t end = ksf_tail_blocks(data) * KSF_SHA256_BLOCK;
    memset(tail + data, 0, end - data);
    tail[data] = 0x80;
    ksf_store64_be(tail + end - 8, 8 * total);
}

/* The state's words big-endian, two at a time. */
KSF_INLINE void ksf_digest_put(uint8_t *out, const uint32_t state[8]) {
    for (int i = 0; i < 8; i += 2) ksf_store64_be(out + 4 * i, (uint64_t)state[i] << 32 | state[i + 1]);
}

static void ksf_lanes_state(ksf_sha256_lanes *lanes, const uint32_t state[8], size_t n) {
    for (size_t i = 0; i < n; i++) memcpy(lanes->states[i], state, sizeof lanes->states[i]);
}

/* Absorbs n_blocks blocks of every lane's tail, from its byte `from` on. */
static void ksf_lanes_absorb_tails(const ksf_sha256_impl *impl, ksf_sha256_lanes *lanes, size_t from, size_t n_blocks, size_t n) {
    for (size_t i = 0; i < n; i++) lanes->blocks[i] = lanes->tails[i] + from;
    impl->compress_many(lanes->states, lanes->blocks, n_blocks, n);
}

static void ksf_lanes_digests(const ksf_sha256_lanes *lanes, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) ksf_digest_put(out + KSF_SHA256_BYTES * i, lanes->states[i]);
}

/* Writes digests behind a block as the second block of a hash over 64 + 32 bytes: what an outer or inner HMAC hash is. */
KSF_INLINE void ksf_tail_of_32(uint8_t tail[KSF_SHA256_BLOCK]) {
    ksf_tail_pad(tail, KSF_SHA256_BYTES, KSF_SHA256_BLOCK + KSF_SHA256_BYTES);
}

/* Neighbours from i on, at most KSF_CHUNK, whose messages are cut into blocks alike: as many whole ones, as long a tail. */
static size_t ksf_run(const size_t *lengths, size_t i, size_t n) {
    const size_t whole = lengths[i] / KSF_SHA256_BLOCK, tail = ksf_tail_blocks(lengths[i] % KSF_SHA256_BLOCK);
    size_t end = i + 1;
    for (; end < n && end - i < KSF_CHUNK; end++)
        if (lengths[end] / KSF_SHA256_BLOCK != whole || ksf_tail_blocks(lengths[end] % KSF_SHA256_BLOCK) != tail) break;
    return end - i;
}

/* Absorbs one run of messages and their padding; `before` bytes were absorbed already. */
static void ksf_lanes_absorb_run(const ksf_sha256_impl *impl, ksf_sha256_lanes *lanes, const uint8_t *const *messages,
                                 const size_t *lengths, uint64_t before, size_t n) {
    const size_t whole = lengths[0] / KSF_SHA256_BLOCK;
    if (whole) impl->compress_many(lanes->states, messages, whole, n);
    for (size_t i = 0; i < n; i++) {
        const size_t data = lengths[i] % KSF_SHA256_BLOCK;
        if (data) memcpy(lanes->tails[i], messages[i] + KSF_SHA256_BLOCK * whole, data);
        ksf_tail_pad(lanes->tails[i], data, before + lengths[i]);
    }
    ksf_lanes_absorb_tails(impl, lanes, 0, ksf_tail_blocks(lengths[0] % KSF_SHA256_BLOCK), n);
}

void ksf_sha256_many(const ksf_sha256_impl *impl, uint8_t *out, const uint8_t *const *messages, const size_t *lengths, size_t n) {
    ksf_sha256_lanes lanes;
    for (size_t i = 0, run; i < n; i += run) {
        run = ksf_run(lengths, i, n);
        ksf_lanes_state(&lanes, ksf_sha256_iv, run);
        ksf_lanes_absorb_run(impl, &lanes, messages + i, lengths + i, 0, run);
        ksf_lanes_digests(&lanes, out + KSF_SHA256_BYTES * i, run);
    }
    ksf_wipe(&lanes, sizeof lanes);
}

void ksf_sha256_rows(const ksf_sha256_impl *impl, uint8_t *out, const uint8_t *in, size_t stride, size_t width, size_t n) {
    const size_t blocks = (width + 9 + KSF_SHA256_BLOCK - 1) / KSF_SHA256_BLOCK;
    ksf_sha256_lanes lanes;
    /* the padding is everybody's and stays from chunk to chunk; the rows' bytes come in front of it */
    for (size_t i = 0; i < ksf_min(n, KSF_CHUNK); i++) {
        memset(lanes.tails[i], 0, sizeof lanes.tails[i]);
        lanes.tails[i][width] = 0x80;
        ksf_store64_be(lanes.tails[i] + KSF_SHA256_BLOCK * blocks - 8, 8 * (uint64_t)width);
    }
    for (size_t i = 0; i < n; i += KSF_CHUNK) {
        const size_t m = ksf_min(n - i, KSF_CHUNK);
        for (size_t l = 0; l < m; l++) memcpy(lanes.tails[l], in + stride * (i + l), width);
        ksf_lanes_state(&lanes, ksf_sha256_iv, m);
        ksf_lanes_absorb_tails(impl, &lanes, 0, blocks, m);
        ksf_lanes_digests(&lanes, out + KSF_SHA256_BYTES * i, m);
    }
    ksf_wipe(&lanes, sizeof lanes);
}

/* RFC 2104: the key's block XOR the inner (0x36) or outer (0x5c) pad; key_len <= 64. */
static void ksf_hmac_pad(uint8_t out[KSF_SHA256_BLOCK], const uint8_t *key, size_t key_len, uint8_t pad) {
    memset(out, pad, KSF_SHA256_BLOCK);
    for (size_t i = 0; i < key_len; i++) out[i] ^= key[i];
}

void ksf_hmac_key_init(const ksf_sha256_impl *impl, ksf_hmac_key *out, const uint8_t *key, size_t key_len) {
    uint8_t digest[KSF_SHA256_BYTES], pads[2][KSF_SHA256_BLOCK];
    uint32_t states[2][8];
    const uint8_t *const blocks[2] = {pads[0], pads[1]};
    if (key_len > KSF_SHA256_BLOCK) {
        ksf_sha256_many(impl, digest, &key, &key_len, 1);
        key = digest;
        key_len = sizeof digest;
    }
    ksf_hmac_pad(pads[0], key, key_len, 0x36);
    ksf_hmac_pad(pads[1], key, key_len, 0x5c);
    memcpy(states[0], ksf_sha256_iv, sizeof states[0]);
    memcpy(states[1], ksf_sha256_iv, sizeof states[1]);
    impl->compress_many(states, blocks, 1, 2);
    memcpy(out->inner, states[0], sizeof out->inner);
    memcpy(out->outer, states[1], sizeof out->outer);
    ksf_wipe(digest, sizeof digest);
    ksf_wipe(pads, sizeof pads);
    ksf_wipe(states, sizeof states);
}

void ksf_hmac_sha256_32_rows(const ksf_sha256_impl *impl, const ksf_hmac_key *key, uint8_t *out, const uint8_t *in, size_t n) {
    ksf_sha256_lanes lanes;
    for (size_t i = 0; i < ksf_min(n, KSF_CHUNK); i++) ksf_tail_of_32(lanes.tails[i]);
    for (size_t i = 0; i < n; i += KSF_CHUNK) {
        const size_t m = ksf_min(n - i, KSF_CHUNK);
        for (size_t l = 0; l < m; l++) memcpy(lanes.tails[l], in + KSF_SHA256_BYTES * (i + l), KSF_SHA256_BYTES);
        ksf_lanes_state(&lanes, key->inner, m);
        ksf_lanes_absorb_tails(impl, &lanes, 0, 1, m);
        for (size_t l = 0; l < m; l++) ksf_digest_put(lanes.tails[l], lanes.states[l]);
        ksf_lanes_state(&lanes, key->outer, m);
        ksf_lanes_absorb_tails(impl, &lanes, 0, 1, m);
        ksf_lanes_digests(&lanes, out + KSF_SHA256_BYTES * i, m);
    }
    ksf_wipe(&lanes, sizeof lanes);
}

/* Absorbs first[i] || second[i] and the padding into lanes that hold their inner key pad. */
static void ksf_lanes_absorb_pair(const ksf_sha256_impl *impl, ksf_sha256_lanes *lanes, const uint8_t *const *first, size_t first_len,
                                  const uint8_t *const *second, size_t second_len, size_t n) {
    const size_t whole = first_len / KSF_SHA256_BLOCK;
    size_t data = first_len % KSF_SHA256_BLOCK, from = 0;
    if (whole) impl->compress_many(lanes->states, first, whole, n);
    if (data) {
        for (size_t i = 0; i < n; i++) memcpy(lanes->tails[i], first[i] + KSF_SHA256_BLOCK * whole, data);
        if (data + second_len >= KSF_SHA256_BLOCK) { /* a block that both have a part in */
            from = KSF_SHA256_BLOCK - data;
            for (size_t i = 0; i < n; i++) memcpy(lanes->tails[i] + data, second[i], from);
            ksf_lanes_absorb_tails(impl, lanes, 0, 1, n);
            data = 0;
        }
    }
    if (data == 0) {
        const size_t rest = (second_len - from) / KSF_SHA256_BLOCK;
        if (rest) {
            for (size_t i = 0; i < n; i++) lanes->blocks[i] = second[i] + from;
            impl->compress_many(lanes->states, lanes->blocks, rest, n);
            from += KSF_SHA256_BLOCK * rest;
        }
    }
    const size_t left = second_len - from; /* data + left < 64 */
    for (size_t i = 0; i < n; i++) {
        if (left) memcpy(lanes->tails[i] + data, second[i] + from, left);
        ksf_tail_pad(lanes->tails[i], data + left, KSF_SHA256_BLOCK + (uint64_t)first_len + second_len);
    }
    ksf_lanes_absorb_tails(impl, lanes, 0, ksf_tail_blocks(data + left), n);
}

void ksf_hmac_sha256_rows(const ksf_sha256_impl *impl, uint8_t *out, const uint8_t *keys, const uint8_t *const *first, size_t first_len,
                          const uint8_t *const *second, size_t second_len, size_t n) {
    ksf_sha256_lanes lanes;
    for (size_t i = 0; i < n; i += KSF_CHUNK) {
        const size_t m = ksf_min(n - i, KSF_CHUNK);
        for (size_t l = 0; l < m; l++) ksf_hmac_pad(lanes.tails[l], keys + KSF_SHA256_BYTES * (i + l), KSF_SHA256_BYTES, 0x36);
        ksf_lanes_state(&lanes, ksf_sha256_iv, m);
        ksf_lanes_absorb_tails(impl, &lanes, 0, 1, m);
        ksf_lanes_absorb_pair(impl, &lanes, first + i, first_len, second ? second + i : NULL, second_len, m);
        for (size_t l = 0; l < m; l++) {
            ksf_hmac_pad(lanes.tails[l], keys + KSF_SHA256_BYTES * (i + l), KSF_SHA256_BYTES, 0x5c);
            ksf_digest_put(lanes.tails[l] + KSF_SHA256_BLOCK, lanes.states[l]);
            ksf_tail_of_32(lanes.tails[l] + KSF_SHA256_BLOCK);
        }
        ksf_lanes_state(&lanes, ksf_sha256_iv, m);
        ksf_lanes_absorb_tails(impl, &lanes, 0, 2, m);
        ksf_lanes_digests(&lanes, out + KSF_SHA256_BYTES * i, m);
    }
    ksf_wipe(&lanes, sizeof lanes);
}

void ksf_hmac_sha256_resume_many(const ksf_sha256_impl *impl, uint8_t *out, const ksf_hmac_key *const *keys, uint64_t before,
                                 const uint8_t *const *messages, const size_t *lengths, size_t n) {
    ksf_sha256_lanes lanes;
    for (size_t i = 0, run; i < n; i += run) {
        run = ksf_run(lengths, i, n);
        for (size_t l = 0; l < run; l++) memcpy(lanes.states[l], keys[i + l]->inner, sizeof lanes.states[l]);
        ksf_lanes_absorb_run(impl, &lanes, messages + i, lengths + i, before, run);
        for (size_t l = 0; l < run; l++) {
            ksf_digest_put(lanes.tails[l], lanes.states[l]);
            ksf_tail_of_32(lanes.tails[l]);
            memcpy(lanes.states[l], keys[i + l]->outer, sizeof lanes.states[l]);
        }
        ksf_lanes_absorb_tails(impl, &lanes, 0, 1, run);
        ksf_lanes_digests(&lanes, out + KSF_SHA256_BYTES * i, run);
    }
    ksf_wipe(&lanes, sizeof lanes);
}

void ksf_hmac_sha256_many(const ksf_sha256_impl *impl, uint8_t *out, const uint8_t *const *keys, const size_t *key_lengths,
                          const uint8_t *const *messages, const size_t *lengths, size_t n) {
    ksf_hmac_key prepared[KSF_CHUNK];
    const ksf_hmac_key *ready[KSF_CHUNK];
    for (size_t i = 0; i < n; i += KSF_CHUNK) {
        const size_t m = ksf_min(n - i, KSF_CHUNK);
        for (size_t l = 0; l < m; l++) {
            ksf_hmac_key_init(impl, &prepared[l], keys[i + l], key_lengths[i + l]);
            ready[l] = &prepared[l];
        }
        ksf_hmac_sha256_resume_many(impl, out + KSF_SHA256_BYTES * i, ready, KSF_SHA256_BLOCK, messages + i, lengths + i, m);
    }
    ksf_wipe(prepared, sizeof prepared);
}
