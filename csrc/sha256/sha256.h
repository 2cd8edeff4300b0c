/* sha256.h - SHA-256 (FIPS 180-4) over many independent streams, and HMAC-SHA256 (RFC 2104) on top.
 *
 * Time and addresses depend on lengths and counts only. Messages, keys and states may be SECRET; every function wipes
 * its own copies of them. */
#ifndef KSF_SHA256_H
#define KSF_SHA256_H
#include "../dispatch.h"

enum { KSF_SHA256_BLOCK = 64, KSF_SHA256_BYTES = 32 };

struct ksf_sha256_impl {
    ksf_impl_info info;
    uint16_t streams; /* states that move together; any other n is correct, and slower */
    /* states[i] absorbs n_blocks blocks of 64 bytes at blocks[i], i < n. Any n and n_blocks, blocks[] unaligned.
     * states and blocks do not overlap. */
    void (*compress_many)(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n);
};

extern const ksf_sha256_impl ksf_sha256_portable, ksf_sha256_shani, ksf_sha256_avx2, ksf_sha256_avx512;

extern const uint32_t ksf_sha256_iv[8];
extern const uint32_t ksf_sha256_k[64]; /* 64-byte aligned */

/* out[32*i..] = SHA256(messages[i][0..lengths[i])), i < n. Neighbours of one length run in lanes. out overlaps nothing. */
void ksf_sha256_many(const ksf_sha256_impl *impl, uint8_t *out, const uint8_t *const *messages, const size_t *lengths, size_t n);

/* out[32*i..] = SHA256 of the `width` bytes (width <= 119) at in + stride*i, i < n. out may be in only if rows coincide. */
void ksf_sha256_rows(const ksf_sha256_impl *impl, uint8_t *out, const uint8_t *in, size_t stride, size_t width, size_t n);

/* The two states after the padded key: HMAC(key, m) costs one compression less on each side with it. */
typedef struct ksf_hmac_key {
    uint32_t inner[8], outer[8];
} ksf_hmac_key;

/* Any key length (longer than 64 bytes: hashed first, RFC 2104). */
void ksf_hmac_key_init(const ksf_sha256_impl *impl, ksf_hmac_key *out, const uint8_t *key, size_t key_len);

/* out[32*i..] = HMAC(key, in[32*i..32*i+32)), i < n: one prepared key, n messages of 32 bytes. out may be in. */
void ksf_hmac_sha256_32_rows(const ksf_sha256_impl *impl, const ksf_hmac_key *key, uint8_t *out, const uint8_t *in, size_t n);

/* out[32*i..] = HMAC(keys[32*i..32*i+32), first[i][0..first_len) || second[i][0..second_len)), i < n: what Sphinx needs,
 * hop_payloads and associated data. second may be NULL where second_len is 0. */
void ksf_hmac_sha256_rows(const ksf_sha256_impl *impl, uint8_t *out, const uint8_t *keys, const uint8_t *const *first, size_t first_len,
                          const uint8_t *const *second, size_t second_len, size_t n);

/* out[32*i..] = the HMAC whose inner hash stands at keys[i]->inner and goes on with messages[i], i < n. before: bytes absorbed
 * so far, the same for all: the key's block and whole blocks of the message. Neighbours of one length run in lanes. */
void ksf_hmac_sha256_resume_many(const ksf_sha256_impl *impl, uint8_t *out, const ksf_hmac_key *const *keys, uint64_t before,
                                 const uint8_t *const *messages, const size_t *lengths, size_t n);

/* out[32*i..] = HMAC(keys[i], messages[i]), any lengths, i < n. */
void ksf_hmac_sha256_many(const ksf_sha256_impl *impl, uint8_t *out, const uint8_t *const *keys, const size_t *key_lengths,
                          const uint8_t *const *messages, const size_t *lengths, size_t n);

#endif
