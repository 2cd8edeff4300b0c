/* ct_symm.h - constant-time cases of the symmetric lanes, for ct_check.c: everything that may be secret is marked so, and the tool
 * that watches (checkmem.h) reports any branch or address that depends on it. Lengths and counts are public. */
#ifndef KSF_TEST_CT_SYMM_H
#define KSF_TEST_CT_SYMM_H
#include "../../csrc/chacha20/chacha20.h"
#include "../../csrc/checkmem.h"
#include "../../csrc/sha256/sha256.h"
#include "../../csrc/util.h"

enum { KSF_CT_STREAMS = 37, KSF_CT_BYTES = 1420 }; /* two full groups of the widest lanes and a rest */

/* Counts that reach every path: single, rests, full groups. */
static const size_t ksf_ct_counts[] = {1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 33, KSF_CT_STREAMS};
enum { KSF_CT_COUNTS = sizeof ksf_ct_counts / sizeof *ksf_ct_counts };

/* Every function of sha256.h over one implementation: states, messages, keys and digests are secret. */
static inline void ksf_ct_sha256(const ksf_sha256_impl *impl) {
    static uint8_t data[KSF_CT_STREAMS][KSF_CT_BYTES], keys[KSF_CT_STREAMS][100], out[KSF_CT_STREAMS][32];
    static uint32_t states[KSF_CT_STREAMS][8];
    const uint8_t *messages[KSF_CT_STREAMS], *key_pointers[KSF_CT_STREAMS];
    size_t lengths[KSF_CT_STREAMS], key_lengths[KSF_CT_STREAMS];
    ksf_hmac_key prepared;
    KSF_SECRET(data, sizeof data);
    KSF_SECRET(keys, sizeof keys);
    KSF_SECRET(states, sizeof states);
    for (size_t i = 0; i < KSF_CT_STREAMS; i++) messages[i] = data[i] + i % 7, key_pointers[i] = keys[i];
    for (size_t c = 0; c < KSF_CT_COUNTS; c++) {
        const size_t n = ksf_ct_counts[c];
        impl->compress_many(states, messages, 1 + c % 3, n);
        for (size_t i = 0; i < n; i++) lengths[i] = c % 2 ? 1332 : 50 + i, key_lengths[i] = c % 3 ? 32 : 3 * i;
        ksf_sha256_many(impl, out[0], messages, lengths, n);
        ksf_hmac_sha256_many(impl, out[0], key_pointers, key_lengths, messages, lengths, n);
        ksf_sha256_rows(impl, out[0], data[0], KSF_CT_BYTES, 33 + c, n);
        ksf_sha256_rows(impl, out[0], data[0], KSF_CT_BYTES, 65, n);
        ksf_hmac_key_init(impl, &prepared, keys[0], 32 + 8 * c);
        ksf_hmac_sha256_32_rows(impl, &prepared, out[0], data[0], n);
        ksf_hmac_sha256_rows(impl, out[0], data[0], messages, 1300, key_pointers, 32 + c, n);
    }
    KSF_DECLASSIFY(data, sizeof data);
    KSF_DECLASSIFY(keys, sizeof keys);
    KSF_DECLASSIFY(states, sizeof states);
    KSF_DECLASSIFY(out, sizeof out);
    KSF_DECLASSIFY(&prepared, sizeof prepared);
}

/* Every function of chacha20.h over one implementation: keys and streams are secret. */
static inline void ksf_ct_chacha20(const ksf_chacha20_impl *impl) {
    static uint8_t keys[KSF_CT_STREAMS][KSF_CHACHA20_KEY], out[KSF_CT_STREAMS][KSF_CT_BYTES];
    uint8_t *to[KSF_CT_STREAMS];
    uint32_t counters[KSF_CT_STREAMS];
    KSF_SECRET(keys, sizeof keys);
    for (size_t i = 0; i < KSF_CT_STREAMS; i++) to[i] = out[i] + i % 7, counters[i] = (uint32_t)i;
    for (size_t c = 0; c < KSF_CT_COUNTS; c++)
        impl->stream_many(to, keys[0], c % 2 ? counters : NULL, c % 3 ? 1408 : 33 + 64 * c, ksf_ct_counts[c]);
    ksf_chacha20_stream(impl, out[0], sizeof out, keys[0]);
    KSF_DECLASSIFY(keys, sizeof keys);
    KSF_DECLASSIFY(out, sizeof out);
}

#endif
