/* sha256_shani.c - one to four streams through the SHA extensions, interleaved round by round. */
#include "sha256.h"

#if defined(__x86_64__)
#include "../target.h"
#include "../util.h"
#include <immintrin.h>

KSF_TARGET_BEGIN_SHANI

enum { KSF_SHANI_STREAMS = 4 };

/* Bytes of each 32-bit word reversed. */
KSF_INLINE __m128i ksf_shani_load_be(const uint8_t *p) {
    const __m128i reversed = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)p), reversed);
}

/* The instructions keep a state as the words ABEF and CDGH. A round pair waits four cycles for the one before, so other streams'
 * rounds fill the time. n is a constant of each caller. */
KSF_INLINE void ksf_shani_compress(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, int n) {
    __m128i abef[KSF_SHANI_STREAMS], cdgh[KSF_SHANI_STREAMS];
    for (int s = 0; s < n; s++) {
        const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)states[s]), 0xb1);
        const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(states[s] + 4)), 0x1b);
        abef[s] = _mm_alignr_epi8(badc, hgfe, 8);
        cdgh[s] = _mm_blend_epi16(hgfe, badc, 0xf0);
    }
    for (size_t b = 0; b < n_blocks; b++) {
        __m128i w[KSF_SHANI_STREAMS][4], wk[KSF_SHANI_STREAMS], abef_in[KSF_SHANI_STREAMS], cdgh_in[KSF_SHANI_STREAMS];
        for (int s = 0; s < n; s++) abef_in[s] = abef[s], cdgh_in[s] = cdgh[s];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) { /* four rounds of each stream */
            const __m128i k = _mm_load_si128((const __m128i *)(ksf_sha256_k + 4 * i));
            for (int s = 0; s < n; s++) {
                if (i < 4)
                    w[s][i] = ksf_shani_load_be(blocks[s] + KSF_SHA256_BLOCK * b + 16 * (size_t)i);
                else {
                    const __m128i w_7 = _mm_alignr_epi8(w[s][(i + 3) & 3], w[s][(i + 2) & 3], 4);
                    const __m128i t = _mm_add_epi32(_mm_sha256msg1_epu32(w[s][i & 3], w[s][(i + 1) & 3]), w_7);
                    w[s][i & 3] = _mm_sha256msg2_epu32(t, w[s][(i + 3) & 3]);
                }
                wk[s] = _mm_add_epi32(w[s][i & 3], k);
                cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], wk[s]);
            }
            for (int s = 0; s < n; s++) abef[s] = _mm_sha256rnds2_epu32(abef[s], cdgh[s], _mm_shuffle_epi32(wk[s], 0x0e));
        }
        for (int s = 0; s < n; s++) {
            abef[s] = _mm_add_epi32(abef[s], abef_in[s]);
            cdgh[s] = _mm_add_epi32(cdgh[s], cdgh_in[s]);
        }
    }
    for (int s = 0; s < n; s++) {
        const __m128i feba = _mm_shuffle_epi32(abef[s], 0x1b), dchg = _mm_shuffle_epi32(cdgh[s], 0xb1);
        _mm_storeu_si128((__m128i *)states[s], _mm_blend_epi16(feba, dchg, 0xf0));
        _mm_storeu_si128((__m128i *)(states[s] + 4), _mm_alignr_epi8(dchg, feba, 8));
    }
}

static void ksf_sha256_compress_many_shani(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    for (; n >= KSF_SHANI_STREAMS; n -= KSF_SHANI_STREAMS, states += KSF_SHANI_STREAMS, blocks += KSF_SHANI_STREAMS)
        ksf_shani_compress(states, blocks, n_blocks, KSF_SHANI_STREAMS);
    if (n == 3) ksf_shani_compress(states, blocks, n_blocks, 3);
    if (n == 2) ksf_shani_compress(states, blocks, n_blocks, 2);
    if (n == 1) ksf_shani_compress(states, blocks, n_blocks, 1);
}

KSF_TARGET_END

const ksf_sha256_impl ksf_sha256_shani = {
    {"shani", "SHA extensions, four interleaved streams", KSF_CPU_SHANI},
    KSF_SHANI_STREAMS,
    ksf_sha256_compress_many_shani,
};
#endif
