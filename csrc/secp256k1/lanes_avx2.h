/* lanes_avx2.h - four lanes: radix 2^29, nine 256-bit vectors, vpmuludq (AVX2).
 *
 * Limb i of lane l is 64-bit element l of v[i], weight 2^(29 i), never negative and below 2^32, so that vpmuludq multiplies it
 * whole. Spread s says limbs 0..7 are at most s * (2^29 + 2^15), magnitude m says limb 8 is at most m * (2^24 + 2^12). A
 * difference adds 4p limb by limb and leaves its carries; every product is carried, so every product is a factor.
 *
 * Columns. Factors of spread 1 and 7 make products below 7 * (2^29 + 2^15)^2 < 7.001 * 2^58; nine of them, the folded limbs
 * (2^44 + 2^37), 4p (2^31) and a carry (2^35) stay below 2^64. */
#ifndef KSF_LANES_AVX2_H
#define KSF_LANES_AVX2_H

#define KSF_LANES 4
#define KSF_GROUP_FES 2
#define KSF_CHAINS 1
#define KSF_ABREAST 1
#define KSF_BLEND_GROUPS 1
#define KSF_ENTRY_BYTES 72
typedef __m256i ksf_lane_mask; /* all ones or zero in each 64-bit element */
#include "lanes.h"

struct ksf_fe {
    __m256i v[9];
    KSF_FE_TAGS
};
struct ksf_ge {
    ksf_fe x, y;
};
struct ksf_digits {
    __m256i index, negative; /* per 64-bit element */
};

#define KSF_M29 0x1FFFFFFFULL
#define KSF_M24 0xFFFFFFULL
#define KSF_P0 0x1FFFFC2FULL /* check-magic: 0x1FFFFC2F == p % 2**29 */
#define KSF_P1 0x1FFFFFF7ULL /* check-magic: 0x1FFFFFF7 == p // 2**29 % 2**29 */
/* 2^261 = 2^37 + 31264 and 2^256 = 2^32 + 977 mod p: the powers of two are shifts by 8 and 3 into the next limb */
#define KSF_2P261 31264 /* check-magic: 31264 == 2**261 % p - 2**37 */
#define KSF_2P256 977   /* check-magic: 977 == 2**256 % p - 2**32 */
#define KSF_SPLAT(x) _mm256_set1_epi64x((long long)(x))
#define KSF_ADD(a, b) _mm256_add_epi64(a, b)
#define KSF_SUB(a, b) _mm256_sub_epi64(a, b)
#define KSF_AND(a, b) _mm256_and_si256(a, b)
#define KSF_OR(a, b) _mm256_or_si256(a, b)
#define KSF_SHR(a, n) _mm256_srli_epi64(a, n)
#define KSF_SHL(a, n) _mm256_slli_epi64(a, n)
#define KSF_WIDE(a, b) _mm256_mul_epu32(a, b)
/* b where the mask's bytes are ones, a elsewhere */
#define KSF_BLEND(a, b, mask) _mm256_blendv_epi8(a, b, mask)

/* limb i of k*p, not carried */
KSF_INLINE __m256i ksf_p_limb(int i, uint64_t k) { return KSF_SPLAT(k * (i == 0 ? KSF_P0 : i == 1 ? KSF_P1 : i == 8 ? KSF_M24 : KSF_M29)); }

#ifdef KSF_VERIFY
static void ksf_fe_verify(const ksf_fe *a) {
    for (int i = 0; i < 9; i++) {
        uint64_t limb[4];
        memcpy(limb, &a->v[i], sizeof limb);
        for (int l = 0; l < 4; l++) {
            if (i < 8) KSF_CHECK(limb[l] <= (uint64_t)a->spread * ((1ULL << 29) + (1ULL << 15)));
            if (i == 8) KSF_CHECK(limb[l] <= (uint64_t)a->magnitude * ((1ULL << 24) + (1ULL << 12)));
        }
    }
    KSF_CHECK(a->spread <= 1000);
}
#endif

/* -- products ------------------------------------------------------------------------------------------------------ */
#define KSF_AB(i, j) KSF_WIDE(a->v[i], b->v[j])
#define KSF_AA(i) KSF_WIDE(a->v[i], a->v[i])
#define KSF_DA(i, j) KSF_WIDE(twice[i], a->v[j])
/* clang-format off */
#define KSF_MUL_C0 KSF_AB(0, 0)
#define KSF_MUL_C1 KSF_ADD(KSF_AB(0, 1), KSF_AB(1, 0))
#define KSF_MUL_C2 KSF_ADD(KSF_AB(0, 2), KSF_ADD(KSF_AB(1, 1), KSF_AB(2, 0)))
#define KSF_MUL_C3 KSF_ADD(KSF_ADD(KSF_AB(0, 3), KSF_AB(1, 2)), KSF_ADD(KSF_AB(2, 1), KSF_AB(3, 0)))
#define KSF_MUL_C4 KSF_ADD(KSF_ADD(KSF_AB(0, 4), KSF_AB(1, 3)), KSF_ADD(KSF_AB(2, 2), KSF_ADD(KSF_AB(3, 1), KSF_AB(4, 0))))
#define KSF_MUL_C5 KSF_ADD(KSF_ADD(KSF_AB(0, 5), KSF_ADD(KSF_AB(1, 4), KSF_AB(2, 3))), KSF_ADD(KSF_AB(3, 2), KSF_ADD(KSF_AB(4, 1), KSF_AB(5, 0))))
#define KSF_MUL_C6 KSF_ADD(KSF_ADD(KSF_AB(0, 6), KSF_ADD(KSF_AB(1, 5), KSF_AB(2, 4))), KSF_ADD(KSF_ADD(KSF_AB(3, 3), KSF_AB(4, 2)), KSF_ADD(KSF_AB(5, 1), KSF_AB(6, 0))))
#define KSF_MUL_C7 KSF_ADD(KSF_ADD(KSF_ADD(KSF_AB(0, 7), KSF_AB(1, 6)), KSF_ADD(KSF_AB(2, 5), KSF_AB(3, 4))), KSF_ADD(KSF_ADD(KSF_AB(4, 3), KSF_AB(5, 2)), KSF_ADD(KSF_AB(6, 1), KSF_AB(7, 0))))
#define KSF_MUL_C8 KSF_ADD(KSF_ADD(KSF_ADD(KSF_AB(0, 8), KSF_AB(1, 7)), KSF_ADD(KSF_AB(2, 6), KSF_AB(3, 5))), KSF_ADD(KSF_ADD(KSF_AB(4, 4), KSF_AB(5, 3)), KSF_ADD(KSF_AB(6, 2), KSF_ADD(KSF_AB(7, 1), KSF_AB(8, 0)))))
#define KSF_MUL_C9 KSF_ADD(KSF_ADD(KSF_ADD(KSF_AB(1, 8), KSF_AB(2, 7)), KSF_ADD(KSF_AB(3, 6), KSF_AB(4, 5))), KSF_ADD(KSF_ADD(KSF_AB(5, 4), KSF_AB(6, 3)), KSF_ADD(KSF_AB(7, 2), KSF_AB(8, 1))))
#define KSF_MUL_C10 KSF_ADD(KSF_ADD(KSF_AB(2, 8), KSF_ADD(KSF_AB(3, 7), KSF_AB(4, 6))), KSF_ADD(KSF_ADD(KSF_AB(5, 5), KSF_AB(6, 4)), KSF_ADD(KSF_AB(7, 3), KSF_AB(8, 2))))
#define KSF_MUL_C11 KSF_ADD(KSF_ADD(KSF_AB(3, 8), KSF_ADD(KSF_AB(4, 7), KSF_AB(5, 6))), KSF_ADD(KSF_AB(6, 5), KSF_ADD(KSF_AB(7, 4), KSF_AB(8, 3))))
#define KSF_MUL_C12 KSF_ADD(KSF_ADD(KSF_AB(4, 8), KSF_AB(5, 7)), KSF_ADD(KSF_AB(6, 6), KSF_ADD(KSF_AB(7, 5), KSF_AB(8, 4))))
#define KSF_MUL_C13 KSF_ADD(KSF_ADD(KSF_AB(5, 8), KSF_AB(6, 7)), KSF_ADD(KSF_AB(7, 6), KSF_AB(8, 5)))
#define KSF_MUL_C14 KSF_ADD(KSF_AB(6, 8), KSF_ADD(KSF_AB(7, 7), KSF_AB(8, 6)))
#define KSF_MUL_C15 KSF_ADD(KSF_AB(7, 8), KSF_AB(8, 7))
#define KSF_MUL_C16 KSF_AB(8, 8)
#define KSF_SQR_C0 KSF_AA(0)
#define KSF_SQR_C1 KSF_DA(0, 1)
#define KSF_SQR_C2 KSF_ADD(KSF_DA(0, 2), KSF_AA(1))
#define KSF_SQR_C3 KSF_ADD(KSF_DA(0, 3), KSF_DA(1, 2))
#define KSF_SQR_C4 KSF_ADD(KSF_DA(0, 4), KSF_ADD(KSF_DA(1, 3), KSF_AA(2)))
#define KSF_SQR_C5 KSF_ADD(KSF_DA(0, 5), KSF_ADD(KSF_DA(1, 4), KSF_DA(2, 3)))
#define KSF_SQR_C6 KSF_ADD(KSF_ADD(KSF_DA(0, 6), KSF_DA(1, 5)), KSF_ADD(KSF_DA(2, 4), KSF_AA(3)))
#define KSF_SQR_C7 KSF_ADD(KSF_ADD(KSF_DA(0, 7), KSF_DA(1, 6)), KSF_ADD(KSF_DA(2, 5), KSF_DA(3, 4)))
#define KSF_SQR_C8 KSF_ADD(KSF_ADD(KSF_DA(0, 8), KSF_DA(1, 7)), KSF_ADD(KSF_DA(2, 6), KSF_ADD(KSF_DA(3, 5), KSF_AA(4))))
#define KSF_SQR_C9 KSF_ADD(KSF_ADD(KSF_DA(1, 8), KSF_DA(2, 7)), KSF_ADD(KSF_DA(3, 6), KSF_DA(4, 5)))
#define KSF_SQR_C10 KSF_ADD(KSF_ADD(KSF_DA(2, 8), KSF_DA(3, 7)), KSF_ADD(KSF_DA(4, 6), KSF_AA(5)))
#define KSF_SQR_C11 KSF_ADD(KSF_DA(3, 8), KSF_ADD(KSF_DA(4, 7), KSF_DA(5, 6)))
#define KSF_SQR_C12 KSF_ADD(KSF_DA(4, 8), KSF_ADD(KSF_DA(5, 7), KSF_AA(6)))
#define KSF_SQR_C13 KSF_ADD(KSF_DA(5, 8), KSF_DA(6, 7))
#define KSF_SQR_C14 KSF_ADD(KSF_DA(6, 8), KSF_AA(7))
#define KSF_SQR_C15 KSF_DA(7, 8)
#define KSF_SQR_C16 KSF_AA(8)
/* clang-format on */
#define KSF_PLAIN(k, column) (column)
/* 4p - s, limb by limb: not negative because 3 * (2^29 + 2^15) < 4 * p_i, as for limb 8 */
#define KSF_LESS_S(k, column) KSF_ADD(column, KSF_SUB(ksf_p_limb(k, 4), s->v[k]))

/* Column 9+k to the folded limb h_k. */
#define KSF_HIGH(k, column)              \
    t = KSF_ADD(column, KSF_SHR(t, 29)); \
    h[k] = KSF_AND(t, m29)
/* Column k, less s where asked, with h_k and h_(k-1) folded in. */
#define KSF_LOW(k, column, LESS)                                                                                \
    t = KSF_ADD(LESS(k, KSF_ADD(column, KSF_ADD(KSF_WIDE(h[k], fold), KSF_SHL(h[(k)-1], 8)))), KSF_SHR(t, 29)); \
    l[k] = KSF_AND(t, m29)
/* Columns one at a time, the high ones first: they become the folded limbs that the low ones absorb. Column 8 keeps 24 bits; what
 * is above 2^256 is below 2^41 and goes back into limbs 0 and 1 in two pieces. Out: limbs 0, 1, 3..7 below 2^29, limb 2 below
 * 2^29 + 2^15, limb 8 below 2^24. */
#define KSF_FE_FOLD(C, LESS)                                                                                      \
    const __m256i m29 = KSF_SPLAT(KSF_M29), fold = KSF_SPLAT(KSF_2P261), back = KSF_SPLAT(KSF_2P256);             \
    __m256i h[9], l[9], t = C##9;                                                                                 \
    h[0] = KSF_AND(t, m29);                                                                                       \
    KSF_HIGH(1, C##10);                                                                                           \
    KSF_HIGH(2, C##11);                                                                                           \
    KSF_HIGH(3, C##12);                                                                                           \
    KSF_HIGH(4, C##13);                                                                                           \
    KSF_HIGH(5, C##14);                                                                                           \
    KSF_HIGH(6, C##15);                                                                                           \
    KSF_HIGH(7, C##16);                                                                                           \
    h[8] = KSF_SHR(t, 29);                                                                                        \
    t = LESS(0, KSF_ADD(C##0, KSF_WIDE(h[0], fold)));                                                             \
    l[0] = KSF_AND(t, m29);                                                                                       \
    KSF_LOW(1, C##1, LESS);                                                                                       \
    KSF_LOW(2, C##2, LESS);                                                                                       \
    KSF_LOW(3, C##3, LESS);                                                                                       \
    KSF_LOW(4, C##4, LESS);                                                                                       \
    KSF_LOW(5, C##5, LESS);                                                                                       \
    KSF_LOW(6, C##6, LESS);                                                                                       \
    KSF_LOW(7, C##7, LESS);                                                                                       \
    t = KSF_ADD(LESS(8, KSF_ADD(C##8, KSF_ADD(KSF_WIDE(h[8], fold), KSF_SHL(h[7], 8)))), KSF_SHR(t, 29));         \
    l[8] = KSF_AND(t, KSF_SPLAT(KSF_M24));                                                                        \
    t = KSF_ADD(KSF_SHR(t, 24), KSF_SHL(h[8], 13)); /* h_8 has weight 2^493, folded 2^261 * 2^8 = 2^256 * 2^13 */ \
    const __m256i low = KSF_AND(t, m29), high = KSF_SHR(t, 29);                                                   \
    l[0] = KSF_ADD(l[0], KSF_WIDE(low, back));                                                                    \
    l[1] = KSF_ADD(KSF_ADD(l[1], KSF_ADD(KSF_SHL(low, 3), KSF_WIDE(high, back))), KSF_SHR(l[0], 29));             \
    r->v[0] = KSF_AND(l[0], m29);                                                                                 \
    r->v[1] = KSF_AND(l[1], m29);                                                                                 \
    r->v[2] = KSF_ADD(l[2], KSF_ADD(KSF_SHL(high, 3), KSF_SHR(l[1], 29)));                                        \
    r->v[3] = l[3], r->v[4] = l[4], r->v[5] = l[5], r->v[6] = l[6], r->v[7] = l[7], r->v[8] = l[8];               \
    KSF_FE_SET(r, 1, 1)
#define KSF_TWICE                                                                                                                         \
    const __m256i twice[8] = {KSF_ADD(a->v[0], a->v[0]), KSF_ADD(a->v[1], a->v[1]), KSF_ADD(a->v[2], a->v[2]), KSF_ADD(a->v[3], a->v[3]), \
                              KSF_ADD(a->v[4], a->v[4]), KSF_ADD(a->v[5], a->v[5]), KSF_ADD(a->v[6], a->v[6]), KSF_ADD(a->v[7], a->v[7])}

KSF_INLINE void ksf_fe_mul(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    KSF_CHECK(a->spread == 1 && b->spread <= 7 && a->magnitude <= 7 && b->magnitude <= 7);
    KSF_FE_FOLD(KSF_MUL_C, KSF_PLAIN);
}
KSF_INLINE void ksf_fe_sqr(ksf_fe *r, const ksf_fe *a) {
    KSF_CHECK(a->spread == 1 && a->magnitude <= 7);
    KSF_TWICE;
    KSF_FE_FOLD(KSF_SQR_C, KSF_PLAIN);
}
KSF_INLINE void ksf_fe_mul_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b, const ksf_fe *s) {
    KSF_CHECK(a->spread == 1 && b->spread <= 7 && a->magnitude <= 7 && b->magnitude <= 7 && s->magnitude <= 3 && s->spread <= 3);
    KSF_FE_FOLD(KSF_MUL_C, KSF_LESS_S);
}
KSF_INLINE void ksf_fe_sqr_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *s) {
    KSF_CHECK(a->spread == 1 && a->magnitude <= 7 && s->magnitude <= 3 && s->spread <= 3);
    KSF_TWICE;
    KSF_FE_FOLD(KSF_SQR_C, KSF_LESS_S);
}

/* -- sums ---------------------------------------------------------------------------------------------------------- */
KSF_INLINE void ksf_fe_carry_limbs(__m256i v[9]) {
    for (int i = 0; i < 8; i++) v[i + 1] = KSF_ADD(v[i + 1], KSF_SHR(v[i], 29)), v[i] = KSF_AND(v[i], KSF_SPLAT(KSF_M29));
}
KSF_INLINE void ksf_fe_add(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    for (int i = 0; i < 9; i++) r->v[i] = KSF_ADD(a->v[i], b->v[i]);
    KSF_FE_SET(r, a->magnitude + b->magnitude, a->spread + b->spread);
}
KSF_INLINE void ksf_fe_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    KSF_CHECK(a->magnitude <= 2 && b->magnitude <= 3 && b->spread <= 3);
    for (int i = 0; i < 9; i++) r->v[i] = KSF_ADD(a->v[i], KSF_SUB(ksf_p_limb(i, 4), b->v[i]));
    KSF_FE_SET(r, a->magnitude + 5, a->spread + 4);
}
KSF_INLINE void ksf_fe_sub_carried(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    ksf_fe_sub(r, a, b);
    ksf_fe_carry_limbs(r->v);
    KSF_FE_SET(r, a->magnitude + 5, 1);
}
KSF_INLINE void ksf_fe_mul_and_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b, ksf_fe *d, const ksf_fe *s, const ksf_fe *t) {
    ksf_fe_mul(r, a, b);
    ksf_fe_sub(d, s, t);
}
/* All ones in the lanes whose lowest bit is 1. */
KSF_INLINE ksf_lane_mask ksf_low_bit_mask(__m256i v) { return KSF_SUB(_mm256_setzero_si256(), KSF_AND(v, KSF_SPLAT(1))); }
KSF_INLINE void ksf_fe_half(ksf_fe *r, const ksf_fe *a) {
    KSF_CHECK(a->magnitude <= 3 && a->spread <= 3);
    const ksf_lane_mask odd = ksf_low_bit_mask(a->v[0]);
    __m256i t[9];
    for (int i = 0; i < 9; i++) t[i] = KSF_ADD(a->v[i], KSF_AND(ksf_p_limb(i, 1), odd));
    for (int i = 0; i < 8; i++) r->v[i] = KSF_ADD(KSF_SHR(t[i], 1), KSF_SHL(KSF_AND(t[i + 1], KSF_SPLAT(1)), 28));
    r->v[8] = KSF_SHR(t[8], 1);
    ksf_fe_carry_limbs(r->v);
    KSF_FE_SET(r, 2, 1);
}
KSF_INLINE void ksf_fe_carry(ksf_fe *r) {
    KSF_CHECK(r->magnitude == 1 && r->spread == 1);
    (void)r;
}
KSF_INLINE void ksf_fe_normalize(ksf_fe *r) {
    KSF_CHECK(r->magnitude <= 7);
    const __m256i back = KSF_SPLAT(KSF_2P256), m24 = KSF_SPLAT(KSF_M24);
    __m256i *v = r->v, t[9];
    /* v[8] < 8 * 2^24 after the carries: folded once, the value is below 2^256 + 2^36; twice, below 2^256 */
    ksf_fe_carry_limbs(v);
    for (int pass = 0; pass < 2; pass++) {
        const __m256i above = KSF_SHR(v[8], 24);
        v[8] = KSF_AND(v[8], m24);
        v[0] = KSF_ADD(v[0], KSF_WIDE(above, back));
        v[1] = KSF_ADD(v[1], KSF_SHL(above, 3));
        ksf_fe_carry_limbs(v);
    }
    /* value + (2^256 - p) reaches 2^256 where value >= p */
    for (int i = 0; i < 9; i++) t[i] = v[i];
    t[0] = KSF_ADD(t[0], back);
    t[1] = KSF_ADD(t[1], KSF_SPLAT(8));
    ksf_fe_carry_limbs(t);
    const ksf_lane_mask above = ksf_low_bit_mask(KSF_SHR(t[8], 24));
    t[8] = KSF_AND(t[8], m24);
    for (int i = 0; i < 9; i++) v[i] = KSF_BLEND(v[i], t[i], above);
    KSF_FE_SET(r, 1, 1);
}

/* -- lanes --------------------------------------------------------------------------------------------------------- */
KSF_INLINE void ksf_words_to_limbs(uint64_t l[9], const uint64_t w[4]) {
    for (int i = 0; i < 9; i++) {
        const int bit = 29 * i, at = bit / 64, shift = bit % 64;
        l[i] = w[at] >> shift;
        if (shift > 35 && at < 3) l[i] |= w[at + 1] << (64 - shift);
        l[i] &= KSF_M29;
    }
}
KSF_INLINE void ksf_limbs_to_words(uint64_t w[4], const uint64_t l[9]) {
    for (int i = 0; i < 4; i++) w[i] = 0;
    for (int i = 0; i < 9; i++) {
        const int bit = 29 * i, at = bit / 64, shift = bit % 64;
        w[at] |= l[i] << shift;
        if (shift > 35 && at < 3) w[at + 1] |= l[i] >> (64 - shift);
    }
}
KSF_INLINE void ksf_fe_set_all(ksf_fe *r, const uint64_t words[4]) {
    uint64_t l[9];
    ksf_words_to_limbs(l, words);
    for (int i = 0; i < 9; i++) r->v[i] = KSF_SPLAT(l[i]);
    KSF_FE_SET(r, 1, 1);
}
/* Vectors are only touched through memcpy: gcc 12 drops stores made through a uint64_t pointer. */
KSF_INLINE void ksf_fe_set_lane(ksf_fe *r, unsigned lane, const uint64_t words[4]) {
    uint64_t l[9];
    ksf_words_to_limbs(l, words);
    for (int i = 0; i < 9; i++) memcpy((uint8_t *)&r->v[i] + 8 * lane, &l[i], 8);
    KSF_FE_SET(r, 1, 1);
}
KSF_INLINE void ksf_fe_get_limbs(uint64_t l[9], const ksf_fe *a, unsigned lane) {
    KSF_CHECK(a->magnitude == 1 && a->spread == 1);
    for (int i = 0; i < 9; i++) memcpy(&l[i], (const uint8_t *)&a->v[i] + 8 * lane, 8);
}
KSF_INLINE void ksf_fe_get_lane(uint64_t w[4], const ksf_fe *a, unsigned lane) {
    uint64_t l[9];
    ksf_fe_get_limbs(l, a, lane);
    ksf_limbs_to_words(w, l);
}
KSF_INLINE void ksf_fe_swap_lanes(ksf_fe *r, const ksf_fe *a, unsigned distance) {
    for (int i = 0; i < 9; i++) r->v[i] = distance == 1 ? _mm256_permute4x64_epi64(a->v[i], 0xB1) : _mm256_permute4x64_epi64(a->v[i], 0x4E);
    KSF_FE_SET(r, a->magnitude, a->spread);
}
KSF_INLINE ksf_lane_mask ksf_fe_is_zero(const ksf_fe *a) {
    __m256i any = a->v[0];
    for (int i = 1; i < 9; i++) any = KSF_OR(any, a->v[i]);
    return _mm256_cmpeq_epi64(any, _mm256_setzero_si256());
}
KSF_INLINE ksf_lane_mask ksf_fe_is_odd(const ksf_fe *a) { return ksf_low_bit_mask(a->v[0]); }
KSF_INLINE void ksf_fe_cmov(ksf_fe *r, const ksf_fe *a, ksf_lane_mask mask) {
    for (int i = 0; i < 9; i++) r->v[i] = KSF_BLEND(r->v[i], a->v[i], mask);
    KSF_FE_SET(r, a->magnitude > r->magnitude ? a->magnitude : r->magnitude, a->spread > r->spread ? a->spread : r->spread);
}
KSF_INLINE ksf_lane_mask ksf_lane_mask_xor(ksf_lane_mask a, ksf_lane_mask b) { return _mm256_xor_si256(a, b); }
KSF_INLINE ksf_lane_mask ksf_lane_mask_from_bits(unsigned bits) {
    const __m256i bit = _mm256_set_epi64x(8, 4, 2, 1);
    return _mm256_cmpeq_epi64(KSF_AND(KSF_SPLAT(bits), bit), bit);
}
KSF_INLINE unsigned ksf_lane_mask_bits(ksf_lane_mask mask) { return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(mask)); }

/* -- tables -------------------------------------------------------------------------------------------------------- */
/* A sub-table is 18 columns (limbs of x, then of y) of 2^(w-1) 32-bit words. A selection reads every word of it, in the same
 * order whatever the digits are; vpermd picks one of 8 words by the low 3 bits of the index, blends by the bits above. It picks
 * for eight lanes: even words are the first ksf_fe of the group, odd words the second, so that lane l of the group is word
 * 2 (l % 4) + l / 4. */
KSF_INLINE void ksf_subtable_store(uint8_t *const *subtables, unsigned w, unsigned i, const ksf_ge *point, unsigned lanes) {
    for (unsigned l = 0; l < lanes; l++) {
        uint64_t limb[18];
        ksf_fe_get_limbs(limb, &point->x, l);
        ksf_fe_get_limbs(limb + 9, &point->y, l);
        for (unsigned c = 0; c < 18; c++) ksf_store32_le(subtables[l] + 4 * (((size_t)c << (w - 1)) + i), (uint32_t)limb[c]);
    }
}
/* Eight lanes' digits, in the words' order: index, sign, and the bits of the index that choose between vpermd's, as masks. */
typedef struct ksf_word_digits {
    __m256i index, negative, b3, b4, b5, b6;
} ksf_word_digits;
KSF_INLINE __m256i ksf_words_from_lanes(const uint8_t *lanes8) {
    const __m128i order = _mm_set_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 7, 3, 6, 2, 5, 1, 4, 0);
    return _mm256_cvtepu8_epi32(_mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)lanes8), order));
}
#define KSF_WORD_BIT(x, n) _mm256_srai_epi32(_mm256_slli_epi32(x, 31 - (n)), 31)
/* Window v is digit 2v - (2^w - 1): for v >= 2^(w-1) that is 2(v - 2^(w-1)) + 1, else -(2(2^(w-1) - 1 - v) + 1). */
KSF_INLINE void ksf_word_digits_load(ksf_word_digits *r, const uint8_t *digits, unsigned w) {
    const __m256i v = ksf_words_from_lanes(digits);
    r->negative = _mm256_cmpeq_epi32(KSF_AND(v, _mm256_set1_epi32(1 << (w - 1))), _mm256_setzero_si256());
    r->index = KSF_AND(_mm256_xor_si256(v, r->negative), _mm256_set1_epi32((1 << (w - 1)) - 1));
    r->b3 = KSF_WORD_BIT(r->index, 3), r->b4 = KSF_WORD_BIT(r->index, 4), r->b5 = KSF_WORD_BIT(r->index, 5),
    r->b6 = KSF_WORD_BIT(r->index, 6);
}
#define KSF_PICK8(t, i) _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)(t) + (i)), d->index)
#define KSF_PICK16(t, i) KSF_BLEND(KSF_PICK8(t, i), KSF_PICK8(t, (i) + 1), d->b3)
#define KSF_PICK32(t, i) KSF_BLEND(KSF_PICK16(t, i), KSF_PICK16(t, (i) + 2), d->b4)
#define KSF_PICK64(t, i) KSF_BLEND(KSF_PICK32(t, i), KSF_PICK32(t, (i) + 4), d->b5)
#define KSF_PICK128(t, i) KSF_BLEND(KSF_PICK64(t, i), KSF_PICK64(t, (i) + 8), d->b6)
/* Each word's pick of column c of a sub-table, w from 5 to 8 */
KSF_INLINE __m256i ksf_column_pick(const uint8_t *subtable, unsigned c, const ksf_word_digits *d, unsigned w) {
    const uint8_t *t = subtable + ((size_t)c << (w + 1));
    return w == 5 ? KSF_PICK16(t, 0) : w == 6 ? KSF_PICK32(t, 0) : w == 7 ? KSF_PICK64(t, 0) : KSF_PICK128(t, 0);
}
/* Limb c of a coordinate of both ksf_fe's from eight words. */
#define KSF_SPLIT_WORDS(first, second, words) (first) = KSF_AND(words, KSF_SPLAT(0xFFFFFFFF)), (second) = KSF_SHR(words, 32)
KSF_INLINE void ksf_select_finish(ksf_ge *out, size_t stride, const __m256i q[18], const ksf_word_digits *d) {
    ksf_ge *first = out, *second = out + stride;
    for (int c = 0; c < 9; c++) {
        const uint32_t twice_p = (uint32_t)(2 * (c == 0 ? KSF_P0 : c == 1 ? KSF_P1 : c == 8 ? KSF_M24 : KSF_M29));
        const __m256i y = KSF_BLEND(q[9 + c], _mm256_sub_epi32(_mm256_set1_epi32((int)twice_p), q[9 + c]), d->negative);
        KSF_SPLIT_WORDS(first->x.v[c], second->x.v[c], q[c]);
        KSF_SPLIT_WORDS(first->y.v[c], second->y.v[c], y);
    }
    KSF_FE_SET(&first->x, 1, 1);
    KSF_FE_SET(&second->x, 1, 1);
    KSF_FE_SET(&first->y, 2, 2);
    KSF_FE_SET(&second->y, 2, 2);
}
KSF_INLINE void ksf_select_shared(ksf_ge *const *out, size_t stride, const uint8_t *subtable, unsigned w, const uint8_t *const *digits,
                                  unsigned groups) {
    (void)groups;
    ksf_word_digits d;
    __m256i q[18];
    ksf_word_digits_load(&d, digits[0], w);
    for (unsigned c = 0; c < 18; c++) q[c] = ksf_column_pick(subtable, c, &d, w);
    ksf_select_finish(out[0], stride, q, &d);
}
KSF_INLINE void ksf_select_mixed(ksf_ge *out, size_t stride, const uint8_t *const *subtables, const uint8_t *lanes, unsigned n, unsigned w,
                                 const uint8_t *digits) {
    const __m256i bit = _mm256_set_epi32(1 << 7, 1 << 3, 1 << 6, 1 << 2, 1 << 5, 1 << 1, 1 << 4, 1 << 0);
    ksf_word_digits d;
    __m256i q[18];
    ksf_word_digits_load(&d, digits, w);
    for (unsigned c = 0; c < 18; c++) q[c] = _mm256_setzero_si256();
    for (unsigned t = 0; t < n; t++) {
        const __m256i mask = _mm256_cmpeq_epi32(KSF_AND(_mm256_set1_epi32(lanes[t]), bit), bit);
        for (unsigned c = 0; c < 18; c++) q[c] = KSF_BLEND(q[c], ksf_column_pick(subtables[t], c, &d, w), mask);
    }
    ksf_select_finish(out, stride, q, &d);
}
/* The digits of one ksf_fe's four lanes. */
KSF_INLINE void ksf_digits_load(ksf_digits *r, const uint8_t *digits, unsigned w, ksf_lane_mask negate) {
    int32_t four;
    memcpy(&four, digits, 4);
    const __m256i v = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
    const __m256i negative = _mm256_cmpeq_epi64(KSF_AND(v, KSF_SPLAT(1ULL << (w - 1))), _mm256_setzero_si256());
    r->index = KSF_AND(_mm256_xor_si256(v, negative), KSF_SPLAT((1ULL << (w - 1)) - 1));
    r->negative = _mm256_xor_si256(negative, negate);
}
KSF_INLINE ksf_lane_mask ksf_digits_equal(const ksf_digits *d, unsigned i) { return _mm256_cmpeq_epi64(d->index, KSF_SPLAT(i)); }
KSF_INLINE void ksf_fe_negate_by(ksf_fe *r, const ksf_digits *d) {
    KSF_CHECK(r->magnitude == 1 && r->spread == 1);
    for (int i = 0; i < 9; i++) r->v[i] = KSF_BLEND(r->v[i], KSF_SUB(ksf_p_limb(i, 2), r->v[i]), d->negative);
    KSF_FE_SET(r, 2, 2);
}

#endif
