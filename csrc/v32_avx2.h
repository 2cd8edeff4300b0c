/* v32_avx2.h - vectors of eight 32-bit words; the vocabulary is explained in v32_portable.h. */
#ifndef KSF_V32_H
#define KSF_V32_H

#define KSF_V32_LANES 8
typedef uint32_t ksf_v32 __attribute__((vector_size(32)));

/* AVX2 has no rotation: by whole bytes it is one shuffle, else two shifts. */
KSF_INLINE ksf_v32 ksf_v32_shuffle_bytes(ksf_v32 v, uint64_t high, uint64_t low) {
    return (ksf_v32)_mm256_shuffle_epi8((__m256i)v, _mm256_broadcastsi128_si256(_mm_set_epi64x((int64_t)high, (int64_t)low)));
}
#define KSF_V32_ROL(v, r)                                                           \
    ((r) == 8    ? ksf_v32_shuffle_bytes(v, 0x0e0d0c0f0a09080b, 0x0605040702010003) \
     : (r) == 16 ? ksf_v32_shuffle_bytes(v, 0x0d0c0f0e09080b0a, 0x0504070601000302) \
                 : (v) << (r) | (v) >> (32 - (r)))
#define KSF_V32_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define KSF_V32_CHOOSE(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#define KSF_V32_MAJORITY(a, b, c) (((a) & (b)) | ((c) & ((a) | (b))))

/* x[i] lane l <-> x[l] lane i, i and l < 8. */
KSF_INLINE void ksf_v32_transpose8(ksf_v32 x[8]) {
    __m256i t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_epi32((__m256i)x[i], (__m256i)x[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32((__m256i)x[i], (__m256i)x[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        u[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
        u[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
        u[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
        u[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    /* u[4*i + j] holds columns j and 4 + j of rows 4*i.. in its halves */
    for (int j = 0; j < 4; j++) {
        x[j] = (ksf_v32)_mm256_permute2x128_si256(u[j], u[4 + j], 0x20);
        x[4 + j] = (ksf_v32)_mm256_permute2x128_si256(u[j], u[4 + j], 0x31);
    }
}

KSF_INLINE void ksf_v32_load8(ksf_v32 x[8], const uint8_t *const rows[KSF_V32_LANES]) {
    for (int l = 0; l < 8; l++) memcpy(&x[l], rows[l], sizeof x[0]);
    ksf_v32_transpose8(x);
}
KSF_INLINE void ksf_v32_load16(ksf_v32 x[16], const uint8_t *const rows[KSF_V32_LANES]) {
    for (int l = 0; l < 8; l++) {
        memcpy(&x[l], rows[l], sizeof x[0]);
        memcpy(&x[8 + l], rows[l] + 32, sizeof x[0]);
    }
    ksf_v32_transpose8(x);
    ksf_v32_transpose8(x + 8);
}

KSF_INLINE void ksf_v32_rows8(ksf_v32 x[8]) { ksf_v32_transpose8(x); }
KSF_INLINE void ksf_v32_rows16(ksf_v32 x[16]) {
    ksf_v32 low[8], high[8];
    for (int i = 0; i < 8; i++) low[i] = x[i], high[i] = x[8 + i];
    ksf_v32_transpose8(low);
    ksf_v32_transpose8(high);
    for (int l = 0; l < 8; l++) x[2 * l] = low[l], x[2 * l + 1] = high[l];
}

KSF_INLINE ksf_v32 ksf_v32_swap_bytes(ksf_v32 v) { return ksf_v32_shuffle_bytes(v, 0x0c0d0e0f08090a0b, 0x0405060700010203); }

#endif
