/* v32_portable.h - vectors of four 32-bit words in the compiler's own terms: SSE2 on x86-64, NEON on AArch64.
 *
 * The v32 headers give SHA-256 and ChaCha20 one vocabulary, so that each is written once (sha256_impl.h, chacha20_impl.h):
 *   KSF_V32_LANES        words of a vector; each lane belongs to a stream or block of its own
 *   ksf_v32              the vector, with + ^ & | << >> word by word
 *   KSF_V32_ROL(v, r)    every word rotated left by the constant r, 0 < r < 32
 *   KSF_V32_XOR3(a, b, c), KSF_V32_CHOOSE(e, f, g), KSF_V32_MAJORITY(a, b, c)
 *                        a^b^c; f where e has ones, else g; the bit that two or three of them have
 *   ksf_v32_load8, ksf_v32_load16
 *                        x[i] lane l = word i of the row at rows[l], 8 or 16 words a row, unaligned
 *   ksf_v32_rows8, ksf_v32_rows16
 *                        the way back in place: the memory of x becomes the rows of lane 0, 1, ..., 32 or 64 bytes each
 *   ksf_v32_swap_bytes   bytes of every word reversed
 * A v32 header is included inside its target region, behind util.h and <immintrin.h>. Everything in it is constant time. */
#ifndef KSF_V32_H
#define KSF_V32_H

#define KSF_V32_LANES 4
typedef uint32_t ksf_v32 __attribute__((vector_size(16)));

/* These four serve single words as well. */
#define KSF_V32_ROL(v, r) ((v) << (r) | (v) >> (32 - (r)))
#define KSF_V32_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define KSF_V32_CHOOSE(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#define KSF_V32_MAJORITY(a, b, c) (((a) & (b)) | ((c) & ((a) | (b))))

#if defined(__clang__)
#define KSF_V32_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define KSF_V32_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (ksf_v32){i, j, k, l})
#endif

/* x[i] lane l <-> x[l] lane i, i and l < 4. */
KSF_INLINE void ksf_v32_transpose4(ksf_v32 x[4]) {
    const ksf_v32 a = KSF_V32_SHUFFLE(x[0], x[1], 0, 4, 1, 5), b = KSF_V32_SHUFFLE(x[2], x[3], 0, 4, 1, 5);
    const ksf_v32 c = KSF_V32_SHUFFLE(x[0], x[1], 2, 6, 3, 7), d = KSF_V32_SHUFFLE(x[2], x[3], 2, 6, 3, 7);
    x[0] = KSF_V32_SHUFFLE(a, b, 0, 1, 4, 5), x[1] = KSF_V32_SHUFFLE(a, b, 2, 3, 6, 7);
    x[2] = KSF_V32_SHUFFLE(c, d, 0, 1, 4, 5), x[3] = KSF_V32_SHUFFLE(c, d, 2, 3, 6, 7);
}

KSF_INLINE void ksf_v32_load(ksf_v32 *x, int words, const uint8_t *const rows[KSF_V32_LANES]) {
    for (int w = 0; w < words; w += 4) {
        for (int l = 0; l < 4; l++) memcpy(&x[w + l], rows[l] + 4 * w, sizeof x[0]);
        ksf_v32_transpose4(x + w);
    }
}
KSF_INLINE void ksf_v32_load8(ksf_v32 x[8], const uint8_t *const rows[KSF_V32_LANES]) { ksf_v32_load(x, 8, rows); }
KSF_INLINE void ksf_v32_load16(ksf_v32 x[16], const uint8_t *const rows[KSF_V32_LANES]) { ksf_v32_load(x, 16, rows); }

/* After its 4x4 transposition vector w + l holds words w.. of lane l: part w/4 of row l. */
KSF_INLINE void ksf_v32_rows(ksf_v32 *x, int words) {
    ksf_v32 t[16];
    for (int w = 0; w < words; w += 4) {
        for (int l = 0; l < 4; l++) t[w + l] = x[w + l];
        ksf_v32_transpose4(t + w);
    }
    for (int w = 0; w < words; w += 4)
        for (int l = 0; l < 4; l++) x[(words * l + w) / 4] = t[w + l];
}
KSF_INLINE void ksf_v32_rows8(ksf_v32 x[8]) { ksf_v32_rows(x, 8); }
KSF_INLINE void ksf_v32_rows16(ksf_v32 x[16]) { ksf_v32_rows(x, 16); }

KSF_INLINE ksf_v32 ksf_v32_swap_bytes(ksf_v32 v) { return (KSF_V32_ROL(v, 8) & 0x00ff00ff) | (KSF_V32_ROL(v, 24) & 0xff00ff00); }

#endif
