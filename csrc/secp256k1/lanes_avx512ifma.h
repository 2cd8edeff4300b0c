/* lanes_avx512ifma.h - eight lanes: radix 2^52, five 512-bit vectors, vpmadd52 (AVX-512 IFMA, VBMI, VBMI2).
 *
 * Limb i of lane l is 64-bit element l of v[i], weight 2^(52 i). vpmadd52 multiplies the low 52 bits of its factors, so
 *
 *     factor  (spread 1)   0 <= v[0..3] < 2^52, 0 <= v[4] < 2^51
 *     addend  (spread s)   |v[0..3]| <= s * 2^52, signed; -(2^48 + 2^12) <= v[4] <= magnitude * (2^48 + 2^12)
 *
 * An addend is never carried before it is added: a difference gets 4p, as 4 * 2^256 in limb 4 less 4 * (2^256 - p) in limb 0,
 * which makes it positive, and one pass of signed carries. Spread 1000 keeps limbs below 2^62. */
#ifndef KSF_LANES_AVX512IFMA_H
#define KSF_LANES_AVX512IFMA_H

#define KSF_LANES 8
#define KSF_GROUP_FES 1
#define KSF_CHAINS 4
#define KSF_ABREAST 2
#define KSF_BLEND_GROUPS 4
#define KSF_ENTRY_BYTES 64
typedef __mmask8 ksf_lane_mask;
#include "lanes.h"

struct ksf_fe {
    __m512i v[5];
    KSF_FE_TAGS
};
struct ksf_ge {
    ksf_fe x, y;
};
struct ksf_digits {
    __m512i index;
    ksf_lane_mask negative;
};

#define KSF_M52 0xFFFFFFFFFFFFFULL
#define KSF_M48 0xFFFFFFFFFFFFULL
#define KSF_2P260 0x1000003D10ULL /* check-magic: 0x1000003D10 == 2**260 % p */
#define KSF_SPLAT(x) _mm512_set1_epi64((long long)(x))
#define KSF_ADD(a, b) _mm512_add_epi64(a, b)
#define KSF_SUB(a, b) _mm512_sub_epi64(a, b)
#define KSF_AND(a, b) _mm512_and_si512(a, b)
#define KSF_SHR(a, n) _mm512_srli_epi64(a, n)
#define KSF_SHL(a, n) _mm512_slli_epi64(a, n)
#define KSF_SAR(a, n) _mm512_srai_epi64(a, n)
/* c + low or high 52 bits of the 104-bit product of the low 52 bits of a and b */
#define KSF_MADD_LO(c, a, b) _mm512_madd52lo_epu64(c, a, b)
#define KSF_MADD_HI(c, a, b) _mm512_madd52hi_epu64(c, a, b)

#ifdef KSF_VERIFY
static void ksf_fe_verify(const ksf_fe *a) {
    for (int i = 0; i < 5; i++) {
        int64_t limb[8];
        memcpy(limb, &a->v[i], sizeof limb);
        for (int l = 0; l < 8; l++) {
            const __int128 x = limb[l], top = (__int128)a->magnitude * ((1LL << 48) + (1LL << 12));
            if (i < 4) KSF_CHECK(x <= (__int128)a->spread << 52 && x >= (a->spread == 1 ? 0 : -((__int128)a->spread << 52)));
            if (i < 4 && a->spread == 1) KSF_CHECK(x < 1LL << 52);
            if (i == 4) KSF_CHECK(x <= top && x >= (a->spread == 1 ? 0 : -((1LL << 48) + (1LL << 12))) && (a->spread > 1 || x < 1LL << 51));
        }
    }
    KSF_CHECK(a->spread <= 1000);
}
#endif

/* -- carries ------------------------------------------------------------------------------------------------------- */
/* One pass over non-negative limbs below 2^63; the top limb takes the carry. */
KSF_INLINE void ksf_fe_carry_unsigned(__m512i v[5]) {
    const __m512i m = KSF_SPLAT(KSF_M52);
    v[1] = KSF_ADD(v[1], KSF_SHR(v[0], 52)), v[0] = KSF_AND(v[0], m);
    v[2] = KSF_ADD(v[2], KSF_SHR(v[1], 52)), v[1] = KSF_AND(v[1], m);
    v[3] = KSF_ADD(v[3], KSF_SHR(v[2], 52)), v[2] = KSF_AND(v[2], m);
    v[4] = KSF_ADD(v[4], KSF_SHR(v[3], 52)), v[3] = KSF_AND(v[3], m);
}
/* The same for signed limbs of a value in [0, 2^259). */
KSF_INLINE void ksf_fe_carry_signed(__m512i v[5]) {
    const __m512i m = KSF_SPLAT(KSF_M52);
    v[1] = KSF_ADD(v[1], KSF_SAR(v[0], 52)), v[0] = KSF_AND(v[0], m);
    v[2] = KSF_ADD(v[2], KSF_SAR(v[1], 52)), v[1] = KSF_AND(v[1], m);
    v[3] = KSF_ADD(v[3], KSF_SAR(v[2], 52)), v[2] = KSF_AND(v[2], m);
    v[4] = KSF_ADD(v[4], KSF_SAR(v[3], 52)), v[3] = KSF_AND(v[3], m);
}
/* + k*p (k a small constant), through limbs 0 and 4 only */
KSF_INLINE void ksf_fe_bias(__m512i *v0, __m512i *v4, uint64_t k) {
    *v0 = KSF_SUB(*v0, KSF_SPLAT(k * KSF_P_COMPLEMENT));
    *v4 = KSF_ADD(*v4, KSF_SPLAT(k << 48));
}

/* -- products ------------------------------------------------------------------------------------------------------ */
/* c[0..9] += a*b. Column k gets at most five low and five high halves: below 10 * 2^52; c[9] below 2^50. */
KSF_INLINE void ksf_fe_mul_columns(__m512i c[10], const ksf_fe *a, const ksf_fe *b) {
    KSF_CHECK(a->spread == 1 && b->spread == 1 && a->magnitude <= 7 && b->magnitude <= 7);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) c[i + j] = KSF_MADD_LO(c[i + j], a->v[i], b->v[j]);
        for (int j = 0; j < 5; j++) c[i + j + 1] = KSF_MADD_HI(c[i + j + 1], a->v[i], b->v[j]);
    }
}
/* c = a^2, the mixed products once and doubled; c[0..9] zero on entry */
KSF_INLINE void ksf_fe_sqr_columns(__m512i c[10], const ksf_fe *a) {
    KSF_CHECK(a->spread == 1 && a->magnitude <= 7);
    for (int i = 0; i < 5; i++)
        for (int j = i + 1; j < 5; j++) {
            c[i + j] = KSF_MADD_LO(c[i + j], a->v[i], a->v[j]);
            c[i + j + 1] = KSF_MADD_HI(c[i + j + 1], a->v[i], a->v[j]);
        }
    for (int i = 1; i < 9; i++) c[i] = KSF_ADD(c[i], c[i]);
    for (int i = 0; i < 5; i++) {
        c[2 * i] = KSF_MADD_LO(c[2 * i], a->v[i], a->v[i]);
        c[2 * i + 1] = KSF_MADD_HI(c[2 * i + 1], a->v[i], a->v[i]);
    }
}
KSF_INLINE void ksf_columns_zero(__m512i c[10]) {
    for (int i = 0; i < 10; i++) c[i] = _mm512_setzero_si512();
}
/* Columns to limbs: c[5..9] (non-negative) fold with 2^260, then the bits from 2^256 on with 2^256. In: c[0..3] of spread s,
 * c[4] >= 0. Out: v[4] < 2^48, v[0..3] uncarried: column 3 has 4 low and 3 high halves of a*b, and one low and one high half
 * of the folds, so 9 * 2^52 + 2^41 more than s came in: spread s + 10. */
KSF_INLINE void ksf_fe_fold(__m512i v[5], __m512i c[10]) {
    const __m512i zero = _mm512_setzero_si512(), r = KSF_SPLAT(KSF_2P260), k = KSF_SPLAT(KSF_P_COMPLEMENT);
    c[6] = KSF_ADD(c[6], KSF_SHR(c[5], 52));
    c[0] = KSF_MADD_LO(c[0], c[5], r), c[1] = KSF_MADD_HI(c[1], c[5], r);
    c[7] = KSF_ADD(c[7], KSF_SHR(c[6], 52));
    c[1] = KSF_MADD_LO(c[1], c[6], r), c[2] = KSF_MADD_HI(c[2], c[6], r);
    c[8] = KSF_ADD(c[8], KSF_SHR(c[7], 52));
    c[2] = KSF_MADD_LO(c[2], c[7], r), c[3] = KSF_MADD_HI(c[3], c[7], r);
    c[9] = KSF_ADD(c[9], KSF_SHR(c[8], 52));
    c[3] = KSF_MADD_LO(c[3], c[8], r), c[4] = KSF_MADD_HI(c[4], c[8], r);
    c[4] = KSF_MADD_LO(c[4], c[9], r);
    const __m512i high = KSF_MADD_HI(zero, c[9], r);
    const __m512i u = KSF_ADD(KSF_SHR(c[4], 48), KSF_SHL(high, 4)); /* value >> 256, below 2^40 */
    v[4] = KSF_AND(c[4], KSF_SPLAT(KSF_M48));
    v[0] = KSF_MADD_LO(c[0], u, k);
    v[1] = KSF_MADD_HI(c[1], u, k);
    v[2] = c[2], v[3] = c[3];
}
KSF_INLINE void ksf_fe_mul(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    __m512i c[10], v[5];
    ksf_columns_zero(c);
    ksf_fe_mul_columns(c, a, b);
    ksf_fe_fold(v, c);
    ksf_fe_carry_unsigned(v);
    for (int i = 0; i < 5; i++) r->v[i] = v[i];
    KSF_FE_SET(r, 1, 1);
}
KSF_INLINE void ksf_fe_sqr(ksf_fe *r, const ksf_fe *a) {
    __m512i c[10], v[5];
    ksf_columns_zero(c);
    ksf_fe_sqr_columns(c, a);
    ksf_fe_fold(v, c);
    ksf_fe_carry_unsigned(v);
    for (int i = 0; i < 5; i++) r->v[i] = v[i];
    KSF_FE_SET(r, 1, 1);
}
/* c[0..4] -= s, + 4p: c[4] stays non-negative because |s.v[4]| <= 3 * (2^48 + 2^12) < 4 * 2^48 */
KSF_INLINE void ksf_columns_sub(__m512i c[10], const ksf_fe *s) {
    KSF_CHECK(s->magnitude <= 3);
    for (int i = 0; i < 5; i++) c[i] = KSF_SUB(c[i], s->v[i]);
    ksf_fe_bias(&c[0], &c[4], 4);
}
KSF_INLINE void ksf_fe_mul_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b, const ksf_fe *s) {
    __m512i c[10];
    ksf_columns_zero(c);
    ksf_fe_mul_columns(c, a, b);
    ksf_columns_sub(c, s);
    ksf_fe_fold(r->v, c);
    KSF_FE_SET(r, 1, s->spread + 10);
}
KSF_INLINE void ksf_fe_sqr_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *s) {
    __m512i c[10];
    ksf_columns_zero(c);
    ksf_fe_sqr_columns(c, a);
    ksf_columns_sub(c, s);
    ksf_fe_fold(r->v, c);
    KSF_FE_SET(r, 1, s->spread + 10);
}

/* -- sums ---------------------------------------------------------------------------------------------------------- */
KSF_INLINE void ksf_fe_add(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    for (int i = 0; i < 5; i++) r->v[i] = KSF_ADD(a->v[i], b->v[i]);
    KSF_FE_SET(r, a->magnitude + b->magnitude, a->spread + b->spread);
}
/* Only a negated coordinate has a negative top limb, above -(2^48 + 2^12); with b.m <= 2 there (a difference of coordinates),
 * and b.m <= 3 where a is a product, 4p makes every difference positive. Subtracting one adds up to p: a.m + 5. */
KSF_INLINE void ksf_fe_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    KSF_CHECK(a->magnitude <= 2 && b->magnitude <= 3 && a->spread + b->spread <= 1000);
    for (int i = 0; i < 5; i++) r->v[i] = KSF_SUB(a->v[i], b->v[i]);
    ksf_fe_bias(&r->v[0], &r->v[4], 4);
    ksf_fe_carry_signed(r->v);
    KSF_FE_SET(r, a->magnitude + 5, 1);
}
KSF_INLINE void ksf_fe_sub_carried(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) { ksf_fe_sub(r, a, b); }
/* The multipliers fill the out-of-order window, so the subtraction overlaps with them only where it stands between their
 * rows in program order (10 % of an affine addition). */
KSF_INLINE void ksf_fe_mul_and_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b, ksf_fe *d, const ksf_fe *s, const ksf_fe *t) {
    KSF_CHECK(a->spread == 1 && b->spread == 1 && a->magnitude <= 7 && b->magnitude <= 7);
    KSF_CHECK(s->magnitude <= 2 && t->magnitude <= 3 && s->spread + t->spread <= 1000);
    __m512i c[10], v[5], w[5];
    const __m512i m = KSF_SPLAT(KSF_M52);
    ksf_columns_zero(c);
    w[0] = KSF_SUB(s->v[0], t->v[0]);
    w[4] = KSF_SUB(s->v[4], t->v[4]);
    ksf_fe_bias(&w[0], &w[4], 4);
    for (int i = 0; i < 5; i++) {
        if (i > 0 && i < 4) w[i] = KSF_SUB(s->v[i], t->v[i]);
        for (int j = 0; j < 5; j++) c[i + j] = KSF_MADD_LO(c[i + j], a->v[i], b->v[j]);
        if (i > 0) w[i] = KSF_ADD(w[i], KSF_SAR(w[i - 1], 52)), w[i - 1] = KSF_AND(w[i - 1], m);
        for (int j = 0; j < 5; j++) c[i + j + 1] = KSF_MADD_HI(c[i + j + 1], a->v[i], b->v[j]);
    }
    ksf_fe_fold(v, c);
    ksf_fe_carry_unsigned(v);
    for (int i = 0; i < 5; i++) r->v[i] = v[i], d->v[i] = w[i];
    KSF_FE_SET(r, 1, 1);
    KSF_FE_SET(d, s->magnitude + 5, 1);
}
/* (a + (a odd ? p : 0)) / 2: the value's parity is limb 0's. Below (3 * (2^256 + 2^245) + p) / 2: magnitude 2. */
KSF_INLINE void ksf_fe_half(ksf_fe *r, const ksf_fe *a) {
    KSF_CHECK(a->magnitude <= 3);
    const __m512i one = KSF_SPLAT(1);
    const ksf_lane_mask odd = _mm512_test_epi64_mask(a->v[0], one);
    __m512i t[5];
    for (int i = 0; i < 5; i++) t[i] = a->v[i];
    t[0] = _mm512_mask_sub_epi64(t[0], odd, t[0], KSF_SPLAT(KSF_P_COMPLEMENT));
    t[4] = _mm512_mask_add_epi64(t[4], odd, t[4], KSF_SPLAT(1ULL << 48));
    for (int i = 0; i < 4; i++) r->v[i] = KSF_ADD(KSF_SAR(t[i], 1), KSF_SHL(KSF_AND(t[i + 1], one), 51));
    r->v[4] = KSF_SHR(t[4], 1);
    ksf_fe_carry_signed(r->v);
    KSF_FE_SET(r, 2, 1);
}
/* + 2p, so that even a negated coordinate becomes positive */
KSF_INLINE void ksf_fe_carry(ksf_fe *r) {
    KSF_CHECK(r->magnitude == 1);
    ksf_fe_bias(&r->v[0], &r->v[4], 2);
    ksf_fe_carry_signed(r->v);
    KSF_FE_SET(r, 3, 1);
}
KSF_INLINE void ksf_fe_normalize(ksf_fe *r) {
    KSF_CHECK(r->magnitude <= 7);
    const __m512i k = KSF_SPLAT(KSF_P_COMPLEMENT), m48 = KSF_SPLAT(KSF_M48);
    __m512i v[5], t[5];
    for (int i = 0; i < 5; i++) v[i] = r->v[i];
    ksf_fe_bias(&v[0], &v[4], 1); /* products and coordinates are above -p */
    ksf_fe_carry_signed(v);
    /* v[4] < 9 * 2^48: folded once, the value is below 2^256 + 2^37; twice, below 2^256 */
    for (int pass = 0; pass < 2; pass++) {
        v[0] = KSF_MADD_LO(v[0], KSF_SHR(v[4], 48), k);
        v[4] = KSF_AND(v[4], m48);
        ksf_fe_carry_unsigned(v);
    }
    /* value + (2^256 - p) reaches 2^256 where value >= p */
    for (int i = 0; i < 5; i++) t[i] = v[i];
    t[0] = KSF_ADD(t[0], k);
    ksf_fe_carry_unsigned(t);
    const ksf_lane_mask above = _mm512_test_epi64_mask(t[4], KSF_SPLAT(1ULL << 48));
    t[4] = KSF_AND(t[4], m48);
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_mask_mov_epi64(v[i], above, t[i]);
    KSF_FE_SET(r, 1, 1);
}

/* -- lanes --------------------------------------------------------------------------------------------------------- */
KSF_INLINE void ksf_words_to_limbs(uint64_t l[5], const uint64_t w[4]) {
    l[0] = w[0] & KSF_M52;
    l[1] = (w[0] >> 52 | w[1] << 12) & KSF_M52;
    l[2] = (w[1] >> 40 | w[2] << 24) & KSF_M52;
    l[3] = (w[2] >> 28 | w[3] << 36) & KSF_M52;
    l[4] = w[3] >> 16;
}
KSF_INLINE void ksf_fe_set_all(ksf_fe *r, const uint64_t words[4]) {
    uint64_t l[5];
    ksf_words_to_limbs(l, words);
    for (int i = 0; i < 5; i++) r->v[i] = KSF_SPLAT(l[i]);
    KSF_FE_SET(r, 1, 1);
}
/* Vectors are only touched through memcpy: gcc 12 drops stores made through a uint64_t pointer. */
KSF_INLINE void ksf_fe_set_lane(ksf_fe *r, unsigned lane, const uint64_t words[4]) {
    uint64_t l[5];
    ksf_words_to_limbs(l, words);
    for (int i = 0; i < 5; i++) memcpy((uint8_t *)&r->v[i] + 8 * lane, &l[i], 8);
    KSF_FE_SET(r, 1, 1);
}
KSF_INLINE void ksf_fe_get_lane(uint64_t w[4], const ksf_fe *a, unsigned lane) {
    KSF_CHECK(a->magnitude == 1 && a->spread == 1);
    uint64_t l[5];
    for (int i = 0; i < 5; i++) memcpy(&l[i], (const uint8_t *)&a->v[i] + 8 * lane, 8);
    w[0] = l[0] | l[1] << 52;
    w[1] = l[1] >> 12 | l[2] << 40;
    w[2] = l[2] >> 24 | l[3] << 28;
    w[3] = l[3] >> 36 | l[4] << 16;
}
KSF_INLINE void ksf_fe_swap_lanes(ksf_fe *r, const ksf_fe *a, unsigned distance) {
    const __m512i from = _mm512_xor_si512(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), KSF_SPLAT(distance));
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_permutexvar_epi64(from, a->v[i]);
    KSF_FE_SET(r, a->magnitude, a->spread);
}
KSF_INLINE ksf_lane_mask ksf_fe_is_zero(const ksf_fe *a) {
    const __m512i any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a->v[0], a->v[1]), _mm512_or_si512(a->v[2], a->v[3])), a->v[4]);
    return _mm512_testn_epi64_mask(any, any);
}
KSF_INLINE ksf_lane_mask ksf_fe_is_odd(const ksf_fe *a) { return _mm512_test_epi64_mask(a->v[0], KSF_SPLAT(1)); }
KSF_INLINE void ksf_fe_cmov(ksf_fe *r, const ksf_fe *a, ksf_lane_mask mask) {
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_mask_mov_epi64(r->v[i], mask, a->v[i]);
    KSF_FE_SET(r, a->magnitude > r->magnitude ? a->magnitude : r->magnitude, a->spread > r->spread ? a->spread : r->spread);
}
KSF_INLINE ksf_lane_mask ksf_lane_mask_xor(ksf_lane_mask a, ksf_lane_mask b) { return _kxor_mask8(a, b); }
KSF_INLINE ksf_lane_mask ksf_lane_mask_from_bits(unsigned bits) { return (ksf_lane_mask)bits; }
KSF_INLINE unsigned ksf_lane_mask_bits(ksf_lane_mask mask) { return mask; }

/* -- tables -------------------------------------------------------------------------------------------------------- */
/* A sub-table is eight columns (words of x, then of y) of 2^(w-1) 64-bit words. A selection reads every word of it, in the same
 * order whatever the digits are; vpermt2q picks one of 16 words by the low 4 bits of the index, blends by the bits above. */
KSF_INLINE void ksf_subtable_store(uint8_t *const *subtables, unsigned w, unsigned i, const ksf_ge *point, unsigned lanes) {
    for (unsigned l = 0; l < lanes; l++) {
        uint64_t q[8];
        ksf_fe_get_lane(q, &point->x, l);
        ksf_fe_get_lane(q + 4, &point->y, l);
        for (unsigned c = 0; c < 8; c++) memcpy(subtables[l] + 8 * (((size_t)c << (w - 1)) + i), &q[c], 8);
    }
}
/* Window v is digit 2v - (2^w - 1): for v >= 2^(w-1) that is 2(v - 2^(w-1)) + 1, else -(2(2^(w-1) - 1 - v) + 1). */
KSF_INLINE void ksf_digits_split(ksf_digits *r, const uint8_t *digits, unsigned w) {
    const __m512i v = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)digits)), half = KSF_SPLAT(1ULL << (w - 1));
    r->negative = _mm512_testn_epi64_mask(v, half);
    r->index = _mm512_mask_xor_epi64(_mm512_xor_si512(v, half), r->negative, v, KSF_SPLAT((1ULL << (w - 1)) - 1));
}
typedef struct ksf_index_bits {
    ksf_lane_mask b4, b5, b6;
} ksf_index_bits;
KSF_INLINE ksf_index_bits ksf_index_high_bits(__m512i index) {
    return (ksf_index_bits){_mm512_test_epi64_mask(index, KSF_SPLAT(16)), _mm512_test_epi64_mask(index, KSF_SPLAT(32)),
                            _mm512_test_epi64_mask(index, KSF_SPLAT(64))};
}
#define KSF_PICK16(t, i) _mm512_permutex2var_epi64((t)[2 * (i)], index, (t)[2 * (i) + 1])
#define KSF_PICK32(t, i) _mm512_mask_mov_epi64(KSF_PICK16(t, i), bit.b4, KSF_PICK16(t, (i) + 1))
#define KSF_PICK64(t, i) _mm512_mask_mov_epi64(KSF_PICK32(t, i), bit.b5, KSF_PICK32(t, (i) + 2))
#define KSF_PICK128(t, i) _mm512_mask_mov_epi64(KSF_PICK64(t, i), bit.b6, KSF_PICK64(t, (i) + 4))
/* Each lane's word of one column of 2^(w-1) words, w from 5 to 8 */
KSF_INLINE __m512i ksf_column_pick(const __m512i *t, __m512i index, ksf_index_bits bit, unsigned w) {
    return w == 5 ? KSF_PICK16(t, 0) : w == 6 ? KSF_PICK32(t, 0) : w == 7 ? KSF_PICK64(t, 0) : KSF_PICK128(t, 0);
}
KSF_INLINE void ksf_select_unpack(ksf_fe *r, const __m512i q[4]) {
    const __m512i m = KSF_SPLAT(KSF_M52);
    r->v[0] = KSF_AND(q[0], m);
    r->v[1] = KSF_AND(_mm512_shrdi_epi64(q[0], q[1], 52), m);
    r->v[2] = KSF_AND(_mm512_shrdi_epi64(q[1], q[2], 40), m);
    r->v[3] = KSF_AND(_mm512_shrdi_epi64(q[2], q[3], 28), m);
    r->v[4] = KSF_SHR(q[3], 16);
    KSF_FE_SET(r, 1, 1);
}
KSF_INLINE void ksf_fe_negate_by(ksf_fe *r, const ksf_digits *d) {
    KSF_CHECK(r->magnitude == 1);
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_mask_sub_epi64(r->v[i], d->negative, _mm512_setzero_si512(), r->v[i]);
    KSF_FE_SET(r, 2, r->spread + 1);
}
KSF_INLINE void ksf_select_finish(ksf_ge *out, const __m512i q[8], const ksf_digits *d) {
    ksf_select_unpack(&out->x, q);
    ksf_select_unpack(&out->y, q + 4);
    ksf_fe_negate_by(&out->y, d);
}
/* A column goes into registers once and serves all groups. */
KSF_INLINE void ksf_select_shared(ksf_ge *const *out, size_t stride, const uint8_t *subtable, unsigned w, const uint8_t *const *digits,
                                  unsigned groups) {
    (void)stride;
    ksf_digits d[KSF_BLEND_GROUPS];
    __m512i q[KSF_BLEND_GROUPS][8];
    for (unsigned g = 0; g < groups; g++) ksf_digits_split(&d[g], digits[g], w);
    for (unsigned c = 0; c < 8; c++) {
        __m512i t[16];
        const uint8_t *column = subtable + ((size_t)c << (w + 2));
        for (unsigned i = 0; i < 1u << (w - 4); i++) {
            t[i] = _mm512_load_si512(column + 64 * i);
            __asm__("" : "+v"(t[i])); /* stays in its register: compilers would load it again for every group */
        }
        for (unsigned g = 0; g < groups; g++) q[g][c] = ksf_column_pick(t, d[g].index, ksf_index_high_bits(d[g].index), w);
    }
    for (unsigned g = 0; g < groups; g++) ksf_select_finish(out[g], q[g], &d[g]);
}
KSF_INLINE void ksf_select_mixed(ksf_ge *out, size_t stride, const uint8_t *const *subtables, const uint8_t *lanes, unsigned n, unsigned w,
                                 const uint8_t *digits) {
    (void)stride;
    ksf_digits d;
    __m512i q[8];
    ksf_digits_split(&d, digits, w);
    const ksf_index_bits bit = ksf_index_high_bits(d.index);
    for (unsigned c = 0; c < 8; c++) q[c] = _mm512_setzero_si512();
    for (unsigned l = 0; l < n; l++)
        for (unsigned c = 0; c < 8; c++) {
            const __m512i *column = (const __m512i *)(subtables[l] + ((size_t)c << (w + 2)));
            q[c] = _mm512_mask_mov_epi64(q[c], (ksf_lane_mask)lanes[l], ksf_column_pick(column, d.index, bit, w));
        }
    ksf_select_finish(out, q, &d);
}
KSF_INLINE void ksf_digits_load(ksf_digits *r, const uint8_t *digits, unsigned w, ksf_lane_mask negate) {
    ksf_digits_split(r, digits, w);
    r->negative = _kxor_mask8(r->negative, negate);
}
KSF_INLINE ksf_lane_mask ksf_digits_equal(const ksf_digits *d, unsigned i) { return _mm512_cmpeq_epi64_mask(d->index, KSF_SPLAT(i)); }

#endif
