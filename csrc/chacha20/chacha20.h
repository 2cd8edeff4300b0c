/* chacha20.h - ChaCha20 key streams (RFC 8439: 96-bit nonce of zeros, 32-bit block counter) over many independent keys.
 *
 * Time and addresses depend on lengths and counts only. Keys and streams are SECRET; own copies are wiped. */
#ifndef KSF_CHACHA20_H
#define KSF_CHACHA20_H
#include "../dispatch.h"

enum { KSF_CHACHA20_BLOCK = 64, KSF_CHACHA20_KEY = 32 };

struct ksf_chacha20_impl {
    ksf_impl_info info;
    uint16_t streams; /* keys that move together; any other n is correct, and slower */
    /* out[i][0..len) = key stream of the key at keys + 32*i from block counters[i] on (counters NULL: 0), i < n.
     * Any len and n, out[] unaligned, nothing written past len. No counter may pass 2^32 - 1. out and keys do not overlap. */
    void (*stream_many)(uint8_t *const *out, const uint8_t *keys, const uint32_t *counters, size_t len, size_t n);
};

extern const ksf_chacha20_impl ksf_chacha20_portable, ksf_chacha20_avx2, ksf_chacha20_avx512;

/* out[0..len) = key stream of one key from block 0 on, its blocks spread over the lanes. len <= 2^32 * 64. */
void ksf_chacha20_stream(const ksf_chacha20_impl *impl, uint8_t *out, size_t len, const uint8_t key[32]);

#endif
