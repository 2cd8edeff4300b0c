/* lanes_portable.h - one lane: radix 2^52, five 64-bit limbs, products in unsigned __int128. Plain C for gcc and clang.
 *
 * Spread s says limbs 0..3 are at most s * (2^52 + 2^46), magnitude m says limb 4 is at most m * (2^48 + 2^12). Limbs are never
 * negative: a difference adds 4p limb by limb, and every element is a factor. Products of limbs of spread 1 and 7 stay below
 * 2^107, a column of five below 2^110. */
#ifndef KSF_LANES_PORTABLE_H
#define KSF_LANES_PORTABLE_H

#define KSF_LANES 1
#define KSF_GROUP_FES 1
#define KSF_CHAINS 2
#define KSF_ABREAST 1
#define KSF_BLEND_GROUPS 1
#define KSF_ENTRY_BYTES 64
typedef uint64_t ksf_lane_mask; /* all ones or zero */
#include "lanes.h"

struct ksf_fe {
    uint64_t v[5];
    KSF_FE_TAGS
};
struct ksf_ge {
    ksf_fe x, y;
};
struct ksf_digits {
    uint64_t index;
    ksf_lane_mask negative;
};

typedef unsigned __int128 ksf_u128;
#define KSF_M52 0xFFFFFFFFFFFFFULL
#define KSF_M48 0xFFFFFFFFFFFFULL
#define KSF_P0 0xFFFFEFFFFFC2FULL /* check-magic: 0xFFFFEFFFFFC2F == p % 2**52 */
#define KSF_2P260 0x1000003D10ULL /* check-magic: 0x1000003D10 == 2**260 % p */
#define KSF_WIDE(x, y) ((ksf_u128)(x) * (y))

/* limb i of k*p, not carried */
KSF_INLINE uint64_t ksf_p_limb(int i, uint64_t k) { return k * (i == 0 ? KSF_P0 : i == 4 ? KSF_M48 : KSF_M52); }

#ifdef KSF_VERIFY
static void ksf_fe_verify(const ksf_fe *a) {
    for (int i = 0; i < 4; i++) KSF_CHECK(a->v[i] <= (uint64_t)a->spread * ((1ULL << 52) + (1ULL << 46)));
    KSF_CHECK(a->v[4] <= (uint64_t)a->magnitude * ((1ULL << 48) + (1ULL << 12)));
    KSF_CHECK(a->spread <= 1000);
}
#endif

/* -- products ------------------------------------------------------------------------------------------------------ */
/* Columns c0..c8 (below 2^112) to limbs: the high four fold with 2^260, the bits from 2^256 on with 2^256. Out: limbs 0 and 2..4
 * carried, limb 1 below 2^52 + 2^46. */
#define KSF_FE_FOLD(c0, c1, c2, c3, c4, c5, c6, c7, c8)                      \
    do {                                                                     \
        ksf_u128 t = c5;                                                     \
        const uint64_t h0 = (uint64_t)t & KSF_M52;                           \
        t = (t >> 52) + c6;                                                  \
        const uint64_t h1 = (uint64_t)t & KSF_M52;                           \
        t = (t >> 52) + c7;                                                  \
        const uint64_t h2 = (uint64_t)t & KSF_M52;                           \
        t = (t >> 52) + c8;                                                  \
        const uint64_t h3 = (uint64_t)t & KSF_M52, h4 = (uint64_t)(t >> 52); \
        t = c0 + KSF_WIDE(h0, KSF_2P260);                                    \
        const uint64_t r0 = (uint64_t)t & KSF_M52;                           \
        t = (t >> 52) + c1 + KSF_WIDE(h1, KSF_2P260);                        \
        const uint64_t r1 = (uint64_t)t & KSF_M52;                           \
        t = (t >> 52) + c2 + KSF_WIDE(h2, KSF_2P260);                        \
        const uint64_t r2 = (uint64_t)t & KSF_M52;                           \
        t = (t >> 52) + c3 + KSF_WIDE(h3, KSF_2P260);                        \
        const uint64_t r3 = (uint64_t)t & KSF_M52;                           \
        t = (t >> 52) + c4 + KSF_WIDE(h4, KSF_2P260);                        \
        r->v[4] = (uint64_t)t & KSF_M48;                                     \
        t = KSF_WIDE((uint64_t)(t >> 48), KSF_P_COMPLEMENT) + r0;            \
        r->v[0] = (uint64_t)t & KSF_M52;                                     \
        r->v[1] = r1 + (uint64_t)(t >> 52);                                  \
        r->v[2] = r2;                                                        \
        r->v[3] = r3;                                                        \
    } while (0)
#define KSF_FE_LOAD(x) const uint64_t x##0 = x->v[0], x##1 = x->v[1], x##2 = x->v[2], x##3 = x->v[3], x##4 = x->v[4]
#define KSF_MUL_C0 KSF_WIDE(a0, b0)
#define KSF_MUL_C1 KSF_WIDE(a0, b1) + KSF_WIDE(a1, b0)
#define KSF_MUL_C2 KSF_WIDE(a0, b2) + KSF_WIDE(a1, b1) + KSF_WIDE(a2, b0)
#define KSF_MUL_C3 KSF_WIDE(a0, b3) + KSF_WIDE(a1, b2) + KSF_WIDE(a2, b1) + KSF_WIDE(a3, b0)
#define KSF_MUL_C4 KSF_WIDE(a0, b4) + KSF_WIDE(a1, b3) + KSF_WIDE(a2, b2) + KSF_WIDE(a3, b1) + KSF_WIDE(a4, b0)
#define KSF_MUL_C5 KSF_WIDE(a1, b4) + KSF_WIDE(a2, b3) + KSF_WIDE(a3, b2) + KSF_WIDE(a4, b1)
#define KSF_MUL_C6 KSF_WIDE(a2, b4) + KSF_WIDE(a3, b3) + KSF_WIDE(a4, b2)
#define KSF_MUL_C7 KSF_WIDE(a3, b4) + KSF_WIDE(a4, b3)
#define KSF_MUL_C8 KSF_WIDE(a4, b4)
#define KSF_SQR_C0 KSF_WIDE(a0, a0)
#define KSF_SQR_C1 KSF_WIDE(d0, a1)
#define KSF_SQR_C2 KSF_WIDE(d0, a2) + KSF_WIDE(a1, a1)
#define KSF_SQR_C3 KSF_WIDE(d0, a3) + KSF_WIDE(d1, a2)
#define KSF_SQR_C4 KSF_WIDE(d0, a4) + KSF_WIDE(d1, a3) + KSF_WIDE(a2, a2)
#define KSF_SQR_C5 KSF_WIDE(d1, a4) + KSF_WIDE(d2, a3)
#define KSF_SQR_C6 KSF_WIDE(d2, a4) + KSF_WIDE(a3, a3)
#define KSF_SQR_C7 KSF_WIDE(d3, a4)
#define KSF_SQR_C8 KSF_WIDE(a4, a4)
/* 4p - s, limb by limb: not negative because 3 * (2^52 + 2^46) < 4 * p_i, as for limb 4 */
#define KSF_NEG4(i) (ksf_p_limb(i, 4) - s->v[i])

KSF_INLINE void ksf_fe_mul(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    KSF_CHECK(a->spread == 1 && b->spread <= 7 && a->magnitude <= 7 && b->magnitude <= 7);
    KSF_FE_LOAD(a);
    KSF_FE_LOAD(b);
    KSF_FE_FOLD(KSF_MUL_C0, KSF_MUL_C1, KSF_MUL_C2, KSF_MUL_C3, KSF_MUL_C4, KSF_MUL_C5, KSF_MUL_C6, KSF_MUL_C7, KSF_MUL_C8);
    KSF_FE_SET(r, 1, 1);
}
KSF_INLINE void ksf_fe_sqr(ksf_fe *r, const ksf_fe *a) {
    KSF_CHECK(a->spread == 1 && a->magnitude <= 7);
    KSF_FE_LOAD(a);
    const uint64_t d0 = 2 * a0, d1 = 2 * a1, d2 = 2 * a2, d3 = 2 * a3;
    KSF_FE_FOLD(KSF_SQR_C0, KSF_SQR_C1, KSF_SQR_C2, KSF_SQR_C3, KSF_SQR_C4, KSF_SQR_C5, KSF_SQR_C6, KSF_SQR_C7, KSF_SQR_C8);
    KSF_FE_SET(r, 1, 1);
}
KSF_INLINE void ksf_fe_mul_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b, const ksf_fe *s) {
    KSF_CHECK(a->spread == 1 && b->spread <= 7 && a->magnitude <= 7 && b->magnitude <= 7 && s->magnitude <= 3 && s->spread <= 3);
    KSF_FE_LOAD(a);
    KSF_FE_LOAD(b);
    KSF_FE_FOLD(KSF_MUL_C0 + KSF_NEG4(0), KSF_MUL_C1 + KSF_NEG4(1), KSF_MUL_C2 + KSF_NEG4(2), KSF_MUL_C3 + KSF_NEG4(3),
                KSF_MUL_C4 + KSF_NEG4(4), KSF_MUL_C5, KSF_MUL_C6, KSF_MUL_C7, KSF_MUL_C8);
    KSF_FE_SET(r, 1, 1);
}
KSF_INLINE void ksf_fe_sqr_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *s) {
    KSF_CHECK(a->spread == 1 && a->magnitude <= 7 && s->magnitude <= 3 && s->spread <= 3);
    KSF_FE_LOAD(a);
    const uint64_t d0 = 2 * a0, d1 = 2 * a1, d2 = 2 * a2, d3 = 2 * a3;
    KSF_FE_FOLD(KSF_SQR_C0 + KSF_NEG4(0), KSF_SQR_C1 + KSF_NEG4(1), KSF_SQR_C2 + KSF_NEG4(2), KSF_SQR_C3 + KSF_NEG4(3),
                KSF_SQR_C4 + KSF_NEG4(4), KSF_SQR_C5, KSF_SQR_C6, KSF_SQR_C7, KSF_SQR_C8);
    KSF_FE_SET(r, 1, 1);
}

/* -- sums ---------------------------------------------------------------------------------------------------------- */
KSF_INLINE void ksf_fe_carry_limbs(uint64_t v[5]) {
    for (int i = 0; i < 4; i++) v[i + 1] += v[i] >> 52, v[i] &= KSF_M52;
}
KSF_INLINE void ksf_fe_add(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    for (int i = 0; i < 5; i++) r->v[i] = a->v[i] + b->v[i];
    KSF_FE_SET(r, a->magnitude + b->magnitude, a->spread + b->spread);
}
KSF_INLINE void ksf_fe_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b) {
    KSF_CHECK(a->magnitude <= 2 && b->magnitude <= 3 && b->spread <= 3);
    for (int i = 0; i < 5; i++) r->v[i] = a->v[i] + (ksf_p_limb(i, 4) - b->v[i]);
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
KSF_INLINE void ksf_fe_half(ksf_fe *r, const ksf_fe *a) {
    KSF_CHECK(a->magnitude <= 3 && a->spread <= 3);
    const uint64_t odd = ksf_mask(a->v[0] & 1);
    uint64_t t[5];
    for (int i = 0; i < 5; i++) t[i] = a->v[i] + (ksf_p_limb(i, 1) & odd);
    for (int i = 0; i < 4; i++) r->v[i] = (t[i] >> 1) + ((t[i + 1] & 1) << 51);
    r->v[4] = t[4] >> 1;
    ksf_fe_carry_limbs(r->v);
    KSF_FE_SET(r, 2, 1);
}
KSF_INLINE void ksf_fe_carry(ksf_fe *r) {
    KSF_CHECK(r->magnitude == 1 && r->spread == 1);
    (void)r;
}
KSF_INLINE void ksf_fe_normalize(ksf_fe *r) {
    KSF_CHECK(r->magnitude <= 7);
    uint64_t *v = r->v, t[5];
    /* v[4] < 8 * 2^48 after the carries: folded once, the value is below 2^256 + 2^37; twice, below 2^256 */
    ksf_fe_carry_limbs(v);
    for (int pass = 0; pass < 2; pass++) {
        v[0] += (v[4] >> 48) * KSF_P_COMPLEMENT, v[4] &= KSF_M48;
        ksf_fe_carry_limbs(v);
    }
    /* value + (2^256 - p) reaches 2^256 where value >= p */
    for (int i = 0; i < 5; i++) t[i] = v[i];
    t[0] += KSF_P_COMPLEMENT;
    ksf_fe_carry_limbs(t);
    const uint64_t above = ksf_mask(t[4] >> 48);
    t[4] &= KSF_M48;
    for (int i = 0; i < 5; i++) v[i] = ksf_select(above, t[i], v[i]);
    KSF_FE_SET(r, 1, 1);
}

/* -- the lane ------------------------------------------------------------------------------------------------------ */
KSF_INLINE void ksf_fe_set_all(ksf_fe *r, const uint64_t w[4]) {
    r->v[0] = w[0] & KSF_M52;
    r->v[1] = (w[0] >> 52 | w[1] << 12) & KSF_M52;
    r->v[2] = (w[1] >> 40 | w[2] << 24) & KSF_M52;
    r->v[3] = (w[2] >> 28 | w[3] << 36) & KSF_M52;
    r->v[4] = w[3] >> 16;
    KSF_FE_SET(r, 1, 1);
}
KSF_INLINE void ksf_fe_set_lane(ksf_fe *r, unsigned lane, const uint64_t words[4]) {
    (void)lane;
    ksf_fe_set_all(r, words);
}
KSF_INLINE void ksf_fe_get_lane(uint64_t w[4], const ksf_fe *a, unsigned lane) {
    (void)lane;
    w[0] = a->v[0] | a->v[1] << 52;
    w[1] = a->v[1] >> 12 | a->v[2] << 40;
    w[2] = a->v[2] >> 24 | a->v[3] << 28;
    w[3] = a->v[3] >> 36 | a->v[4] << 16;
}
KSF_INLINE void ksf_fe_swap_lanes(ksf_fe *r, const ksf_fe *a, unsigned distance) {
    (void)distance;
    *r = *a;
}
KSF_INLINE ksf_lane_mask ksf_fe_is_zero(const ksf_fe *a) { return ksf_mask(ksf_is_zero(a->v[0] | a->v[1] | a->v[2] | a->v[3] | a->v[4])); }
KSF_INLINE ksf_lane_mask ksf_fe_is_odd(const ksf_fe *a) { return ksf_mask(a->v[0] & 1); }
KSF_INLINE void ksf_fe_cmov(ksf_fe *r, const ksf_fe *a, ksf_lane_mask mask) {
    for (int i = 0; i < 5; i++) r->v[i] = ksf_select(mask, a->v[i], r->v[i]);
    KSF_FE_SET(r, a->magnitude > r->magnitude ? a->magnitude : r->magnitude, a->spread > r->spread ? a->spread : r->spread);
}
KSF_INLINE ksf_lane_mask ksf_lane_mask_xor(ksf_lane_mask a, ksf_lane_mask b) { return a ^ b; }
KSF_INLINE ksf_lane_mask ksf_lane_mask_from_bits(unsigned bits) { return ksf_mask(bits & 1); }
KSF_INLINE unsigned ksf_lane_mask_bits(ksf_lane_mask mask) { return (unsigned)(mask & 1); }

/* -- tables -------------------------------------------------------------------------------------------------------- */
/* A sub-table is 2^(w-1) rows of eight words (x, then y). A selection reads every row and keeps one under a mask, in vectors of
 * 16 bytes (gcc's and clang's generic ones: SSE2 or NEON), which takes half the time of words. */
typedef uint32_t ksf_v4 __attribute__((vector_size(16), may_alias));

KSF_INLINE void ksf_subtable_store(uint8_t *const *subtables, unsigned w, unsigned i, const ksf_ge *point, unsigned lanes) {
    (void)w;
    uint64_t q[8];
    ksf_fe_get_lane(q, &point->x, 0);
    ksf_fe_get_lane(q + 4, &point->y, 0);
    if (lanes) memcpy(subtables[0] + 64 * (size_t)i, q, 64);
}
/* Window v is digit 2v - (2^w - 1): for v >= 2^(w-1) that is 2(v - 2^(w-1)) + 1, else -(2(2^(w-1) - 1 - v) + 1). */
KSF_INLINE void ksf_digits_load(ksf_digits *r, const uint8_t *digits, unsigned w, ksf_lane_mask negate) {
    const uint64_t negative = ksf_mask(1 ^ (uint64_t)digits[0] >> (w - 1));
    r->index = (digits[0] ^ negative) & ((1ULL << (w - 1)) - 1);
    r->negative = negative ^ negate;
}
KSF_INLINE ksf_lane_mask ksf_digits_equal(const ksf_digits *d, unsigned i) { return ksf_mask(ksf_is_zero(d->index ^ i)); }
KSF_INLINE void ksf_fe_negate_by(ksf_fe *r, const ksf_digits *d) {
    KSF_CHECK(r->magnitude == 1 && r->spread == 1);
    for (int i = 0; i < 5; i++) r->v[i] = ksf_select(d->negative, ksf_p_limb(i, 2) - r->v[i], r->v[i]);
    KSF_FE_SET(r, 2, 2);
}
KSF_INLINE void ksf_select_shared(ksf_ge *const *out, size_t stride, const uint8_t *subtable, unsigned w, const uint8_t *const *digits,
                                  unsigned groups) {
    (void)stride, (void)groups;
    ksf_digits d;
    ksf_digits_load(&d, digits[0], w, 0);
    const uint32_t index = (uint32_t)d.index;
    const ksf_v4 want = {index, index, index, index}, one = {1, 1, 1, 1};
    ksf_v4 i = {0, 0, 0, 0}, q0 = i, q1 = i, q2 = i, q3 = i;
    for (unsigned k = 0; k < 1u << (w - 1); k++, i += one) {
        const ksf_v4 hit = (ksf_v4)(i == want), *row = (const ksf_v4 *)(subtable + 64 * (size_t)k);
        q0 |= row[0] & hit, q1 |= row[1] & hit, q2 |= row[2] & hit, q3 |= row[3] & hit;
    }
    uint64_t x[4], y[4];
    memcpy(x, &q0, 16), memcpy(x + 2, &q1, 16), memcpy(y, &q2, 16), memcpy(y + 2, &q3, 16);
    ksf_fe_set_all(&out[0]->x, x);
    ksf_fe_set_all(&out[0]->y, y);
    ksf_fe_negate_by(&out[0]->y, &d);
}
KSF_INLINE void ksf_select_mixed(ksf_ge *out, size_t stride, const uint8_t *const *subtables, const uint8_t *lanes, unsigned n, unsigned w,
                                 const uint8_t *digits) {
    (void)lanes, (void)n;
    ksf_select_shared(&out, stride, subtables[0], w, &digits, 1);
}

#endif
