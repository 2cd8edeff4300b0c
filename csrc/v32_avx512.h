/* v32_avx512.h - vectors of sixteen 32-bit words; the vocabulary is explained in v32_portable.h. */
#ifndef KSF_V32_H
#define KSF_V32_H

#define KSF_V32_LANES 16
typedef uint32_t ksf_v32 __attribute__((vector_size(64)));

#define KSF_V32_ROL(v, r) ((ksf_v32)_mm512_rol_epi32((__m512i)(v), r))
/* MemorySanitizer does not know vpternlog and would call every use of it a leak, so its builds spell the functions out. */
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define KSF_V32_SPELLED_OUT
#endif
#endif
#if defined(KSF_V32_SPELLED_OUT)
#define KSF_V32_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define KSF_V32_CHOOSE(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#define KSF_V32_MAJORITY(a, b, c) (((a) & (b)) | ((c) & ((a) | (b))))
#else
/* The last argument is the truth table over the bits of a, b, c. */
#define KSF_V32_TERNARY(a, b, c, table) ((ksf_v32)_mm512_ternarylogic_epi32((__m512i)(a), (__m512i)(b), (__m512i)(c), table))
#define KSF_V32_XOR3(a, b, c) KSF_V32_TERNARY(a, b, c, 0x96)
#define KSF_V32_CHOOSE(e, f, g) KSF_V32_TERNARY(e, f, g, 0xca)
#define KSF_V32_MAJORITY(a, b, c) KSF_V32_TERNARY(a, b, c, 0xe8)
#endif

/* x[i] lane l <-> x[l] lane i, i and l < 16. */
KSF_INLINE void ksf_v32_transpose16(ksf_v32 x[16]) {
    __m512i t[16], u[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32((__m512i)x[i], (__m512i)x[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32((__m512i)x[i], (__m512i)x[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        u[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        u[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        u[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        u[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    /* u[4*i + j] holds columns j, 4 + j, 8 + j, 12 + j of rows 4*i.. in its quarters; the quarters are transposed 4x4 */
    for (int j = 0; j < 4; j++) {
        t[j] = _mm512_shuffle_i32x4(u[j], u[4 + j], 0x88);
        t[4 + j] = _mm512_shuffle_i32x4(u[j], u[4 + j], 0xdd);
        t[8 + j] = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0x88);
        t[12 + j] = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0xdd);
    }
    for (int j = 0; j < 4; j++) {
        x[j] = (ksf_v32)_mm512_shuffle_i32x4(t[j], t[8 + j], 0x88);
        x[4 + j] = (ksf_v32)_mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0x88);
        x[8 + j] = (ksf_v32)_mm512_shuffle_i32x4(t[j], t[8 + j], 0xdd);
        x[12 + j] = (ksf_v32)_mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0xdd);
    }
}

/* Four 4x4 transpositions in each vector: t[4*i + j] quarter q = word 4*q + j of x[4*i], ..., x[4*i + 3], i < 2. */
KSF_INLINE void ksf_v32_transpose_quarters8(__m512i t[8], const __m512i x[8]) {
    for (int i = 0; i < 8; i += 4) {
        const __m512i a = _mm512_unpacklo_epi32(x[i], x[i + 1]), b = _mm512_unpackhi_epi32(x[i], x[i + 1]);
        const __m512i c = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]), d = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c), t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d), t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
}

KSF_INLINE void ksf_v32_load8(ksf_v32 x[8], const uint8_t *const rows[KSF_V32_LANES]) {
    const __m512i even = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0), odd = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
    __m512i pairs[8], t[8]; /* rows l and 8 + l side by side */
    for (int l = 0; l < 8; l++)
        pairs[l] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)rows[l])),
                                      _mm256_loadu_si256((const __m256i *)rows[8 + l]), 1);
    ksf_v32_transpose_quarters8(t, pairs);
    for (int j = 0; j < 4; j++) {
        x[j] = (ksf_v32)_mm512_permutex2var_epi64(t[j], even, t[4 + j]);
        x[4 + j] = (ksf_v32)_mm512_permutex2var_epi64(t[j], odd, t[4 + j]);
    }
}
KSF_INLINE void ksf_v32_load16(ksf_v32 x[16], const uint8_t *const rows[KSF_V32_LANES]) {
    for (int l = 0; l < 16; l++) x[l] = (ksf_v32)_mm512_loadu_si512(rows[l]);
    ksf_v32_transpose16(x);
}

KSF_INLINE void ksf_v32_rows8(ksf_v32 x[8]) {
    const __m512i low = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), high = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    __m512i words[8], t[8];
    for (int i = 0; i < 8; i++) words[i] = (__m512i)x[i];
    ksf_v32_transpose_quarters8(t, words);
    for (int half = 0; half < 2; half++) { /* of the lanes */
        __m512i pairs[4];                  /* rows 8*half + j and 8*half + 4 + j */
        for (int j = 0; j < 4; j++) pairs[j] = _mm512_permutex2var_epi64(t[j], half ? high : low, t[4 + j]);
        x[4 * half] = (ksf_v32)_mm512_shuffle_i64x2(pairs[0], pairs[1], 0x44);
        x[4 * half + 1] = (ksf_v32)_mm512_shuffle_i64x2(pairs[2], pairs[3], 0x44);
        x[4 * half + 2] = (ksf_v32)_mm512_shuffle_i64x2(pairs[0], pairs[1], 0xee);
        x[4 * half + 3] = (ksf_v32)_mm512_shuffle_i64x2(pairs[2], pairs[3], 0xee);
    }
}
KSF_INLINE void ksf_v32_rows16(ksf_v32 x[16]) { ksf_v32_transpose16(x); }

KSF_INLINE ksf_v32 ksf_v32_swap_bytes(ksf_v32 v) {
    return (ksf_v32)_mm512_shuffle_epi8((__m512i)v, _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203)));
}

#endif
