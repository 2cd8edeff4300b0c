/* transpose16_avx512.h - sixteen rows of sixteen 32-bit words to lanes and back. For use inside an AVX-512 target region, behind
 * <immintrin.h> and util.h. */
#ifndef KSF_TRANSPOSE16_AVX512_H
#define KSF_TRANSPOSE16_AVX512_H

/* x[i] lane l <-> x[l] lane i. Constant time. */
KSF_INLINE void ksf_transpose16_avx512(__m512i x[16]) {
    __m512i t[16], u[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        u[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    /* u[4*i + j] holds column j of rows 4*i.. in each of its quarters; now the quarters are transposed 4x4 */
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(u[i], u[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_i32x4(u[i], u[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_i32x4(u[8 + i], u[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(u[8 + i], u[12 + i], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        x[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
        x[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
        x[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
        x[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

#endif
