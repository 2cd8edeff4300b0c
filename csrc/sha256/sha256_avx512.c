/* sha256_avx512.c - sixteen streams, one a 32-bit lane of AVX-512 vectors. */
#include "sha256.h"

#if defined(__x86_64__)
#include "../target.h"
#include "../util.h"
#include <immintrin.h>

KSF_TARGET_BEGIN_AVX512

enum { KSF_AVX512_STREAMS = 16 };

#include "../transpose16_avx512.h"

#define KSF_ADD(a, b) _mm512_add_epi32(a, b)
#define KSF_XOR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define KSF_BIG_SIGMA(x, i, j, k) KSF_XOR3(_mm512_ror_epi32(x, i), _mm512_ror_epi32(x, j), _mm512_ror_epi32(x, k))
#define KSF_SMALL_SIGMA(x, i, j, k) KSF_XOR3(_mm512_ror_epi32(x, i), _mm512_ror_epi32(x, j), _mm512_srli_epi32(x, k))
#define KSF_CHOOSE(e, f, g) _mm512_ternarylogic_epi32(e, f, g, 0xca)
#define KSF_MAJORITY(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)

/* Round i, and then the message word of round i + 16 in the place of this round's. */
#define KSF_ROUND(a, b, c, d, e, f, g, h, i)                                                                                             \
    do {                                                                                                                                 \
        const __m512i wk = KSF_ADD(w[(i)&15], _mm512_set1_epi32((int)ksf_sha256_k[i]));                                                  \
        const __m512i t = KSF_ADD(KSF_ADD(h, wk), KSF_ADD(KSF_BIG_SIGMA(e, 6, 11, 25), KSF_CHOOSE(e, f, g)));                            \
        d = KSF_ADD(d, t);                                                                                                               \
        h = KSF_ADD(t, KSF_ADD(KSF_BIG_SIGMA(a, 2, 13, 22), KSF_MAJORITY(a, b, c)));                                                     \
        if ((i) < 48)                                                                                                                    \
            w[(i)&15] = KSF_ADD(KSF_ADD(w[(i)&15], w[((i) + 9) & 15]),                                                                   \
                                KSF_ADD(KSF_SMALL_SIGMA(w[((i) + 1) & 15], 7, 18, 3), KSF_SMALL_SIGMA(w[((i) + 14) & 15], 17, 19, 10))); \
    } while (0)
#define KSF_ROUNDS_8(i)                       \
    KSF_ROUND(a, b, c, d, e, f, g, h, i);     \
    KSF_ROUND(h, a, b, c, d, e, f, g, i + 1); \
    KSF_ROUND(g, h, a, b, c, d, e, f, i + 2); \
    KSF_ROUND(f, g, h, a, b, c, d, e, i + 3); \
    KSF_ROUND(e, f, g, h, a, b, c, d, i + 4); \
    KSF_ROUND(d, e, f, g, h, a, b, c, i + 5); \
    KSF_ROUND(c, d, e, f, g, h, a, b, i + 6); \
    KSF_ROUND(b, c, d, e, f, g, h, a, i + 7)

/* s[j] lane l = word j of stream l's state. */
KSF_INLINE void ksf_sha256_compress_lanes(__m512i s[8], const uint8_t *const blocks[KSF_AVX512_STREAMS], size_t n_blocks) {
    const __m512i reversed = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    for (size_t at = 0; n_blocks; n_blocks--, at += KSF_SHA256_BLOCK) {
        __m512i w[16], a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
        for (int l = 0; l < KSF_AVX512_STREAMS; l++) w[l] = _mm512_shuffle_epi8(_mm512_loadu_si512(blocks[l] + at), reversed);
        ksf_transpose16_avx512(w);
        KSF_ROUNDS_8(0);
        KSF_ROUNDS_8(8);
        KSF_ROUNDS_8(16);
        KSF_ROUNDS_8(24);
        KSF_ROUNDS_8(32);
        KSF_ROUNDS_8(40);
        KSF_ROUNDS_8(48);
        KSF_ROUNDS_8(56);
        s[0] = KSF_ADD(s[0], a), s[1] = KSF_ADD(s[1], b), s[2] = KSF_ADD(s[2], c), s[3] = KSF_ADD(s[3], d);
        s[4] = KSF_ADD(s[4], e), s[5] = KSF_ADD(s[5], f), s[6] = KSF_ADD(s[6], g), s[7] = KSF_ADD(s[7], h);
    }
}

/* Sixteen lanes, of which the first n are somebody's; the others repeat lane 0 and are dropped. */
static void ksf_sha256_compress_16(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    __m512i x[16];
    const uint8_t *lane[KSF_AVX512_STREAMS];
    for (size_t l = 0; l < KSF_AVX512_STREAMS; l++) {
        const size_t from = l < n ? l : 0;
        lane[l] = blocks[from];
        x[l] = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)states[from]));
    }
    ksf_transpose16_avx512(x);
    ksf_sha256_compress_lanes(x, lane, n_blocks);
    for (int i = 8; i < 16; i++) x[i] = _mm512_setzero_si512();
    ksf_transpose16_avx512(x);
    for (size_t l = 0; l < n; l++) _mm256_storeu_si256((__m256i *)states[l], _mm512_castsi512_si256(x[l]));
    ksf_wipe(x, sizeof x);
}

static void ksf_sha256_compress_many_avx512(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    for (; n >= KSF_AVX512_STREAMS; n -= KSF_AVX512_STREAMS, states += KSF_AVX512_STREAMS, blocks += KSF_AVX512_STREAMS)
        ksf_sha256_compress_16(states, blocks, n_blocks, KSF_AVX512_STREAMS);
    if (n) ksf_sha256_compress_16(states, blocks, n_blocks, n);
}

KSF_TARGET_END

const ksf_sha256_impl ksf_sha256_avx512 = {
    {"avx512", "AVX-512, sixteen streams in lanes", KSF_CPU_AVX512},
    KSF_AVX512_STREAMS,
    ksf_sha256_compress_many_avx512,
};
#endif
