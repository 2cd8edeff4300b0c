/* scalar_impl.h - scalars mod the group order n, four 64-bit words, least significant first; and how they become digits.
 * Constant time. */
#ifndef KSF_SCALAR_IMPL_H
#define KSF_SCALAR_IMPL_H
#include "../util.h"
#include "curve.h"

typedef struct ksf_scalar {
    uint64_t d[4];
} ksf_scalar;
typedef unsigned __int128 ksf_u128_;

static const ksf_scalar ksf_order = {{KSF_N0, KSF_N1, KSF_N2, KSF_N3}};

/* r = 32 bytes big-endian; not reduced. */
KSF_INLINE void ksf_scalar_load(ksf_scalar *r, const uint8_t b[32]) {
    for (int i = 0; i < 4; i++) r->d[i] = ksf_load64_be(b + 24 - 8 * i);
}
/* t = a - n; returns 1 if a < n, else 0. */
KSF_INLINE uint64_t ksf_scalar_sub_order(ksf_scalar *t, const ksf_scalar *a) {
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        const ksf_u128_ d = (ksf_u128_)a->d[i] - ksf_order.d[i] - borrow;
        t->d[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    return borrow;
}
/* 1 if a is in [1, n-1], else 0. */
KSF_INLINE uint64_t ksf_scalar_valid(const ksf_scalar *a) {
    ksf_scalar t;
    const uint64_t below = ksf_scalar_sub_order(&t, a);
    return below & (1 ^ ksf_is_zero(a->d[0] | a->d[1] | a->d[2] | a->d[3]));
}
/* r = r + carry * 2^256, below 2n, to [0, n). */
KSF_INLINE void ksf_scalar_reduce_once(ksf_scalar *r, uint64_t carry) {
    ksf_scalar t;
    const uint64_t below = ksf_scalar_sub_order(&t, r), use = ksf_mask(carry | (1 ^ below));
    for (int i = 0; i < 4; i++) r->d[i] = ksf_select(use, t.d[i], r->d[i]);
}

#if !defined(KSF_SMALL_CURVE)
/* acc[0..n) += high[0..m) * (2^256 mod n); carries end inside acc by the bounds at the call. n, m constants. */
KSF_INLINE void ksf_scalar_fold(uint64_t *acc, int n, const uint64_t *high, int m) {
    static const uint64_t c[3] = {KSF_NC0, KSF_NC1, KSF_NC2};
    for (int i = 0; i < m; i++) {
        ksf_u128_ t = 0;
        for (int j = 0; i + j < n; j++) {
            t += j < 3 ? (ksf_u128_)high[i] * c[j] : 0;
            t += acc[i + j];
            acc[i + j] = (uint64_t)t;
            t >>= 64;
        }
    }
}
/* r = a * b mod n, a and b below 2^256. */
KSF_INLINE void ksf_scalar_mul(ksf_scalar *r, const ksf_scalar *a, const ksf_scalar *b) {
    uint64_t t[8] = {0};
    for (int i = 0; i < 4; i++) {
        ksf_u128_ c = 0;
        for (int j = 0; j < 4; j++) {
            c += (ksf_u128_)a->d[i] * b->d[j] + t[i + j];
            t[i + j] = (uint64_t)c;
            c >>= 64;
        }
        t[i + 4] = (uint64_t)c;
    }
    /* 2^256 mod n < 2^129: 512 bits fold to less than 2^386, then to less than 2^260, then to less than 2^256 + 2^133 < 2n */
    uint64_t u[7] = {t[0], t[1], t[2], t[3], 0, 0, 0};
    ksf_scalar_fold(u, 7, t + 4, 4);
    uint64_t v[5] = {u[0], u[1], u[2], u[3], 0};
    ksf_scalar_fold(v, 5, u + 4, 3);
    uint64_t w[5] = {v[0], v[1], v[2], v[3], 0};
    ksf_scalar_fold(w, 5, v + 4, 1);
    for (int i = 0; i < 4; i++) r->d[i] = w[i];
    ksf_scalar_reduce_once(r, w[4]);
}
#endif

/* -- combs --------------------------------------------------------------------------------------------------------- */
typedef struct ksf_comb {
    uint8_t w, nw, split;
} ksf_comb;

#define KSF_COMB_ROW(w, nw, split) [(w)-5] = {w, nw, split},
static const ksf_comb ksf_combs[4] = {KSF_COMB_WINDOWS(KSF_COMB_ROW)};
#define KSF_COMB_MAX_WINDOWS 52

/* digits[j * stride] = window j of a in [1, n-1], made odd as a' = a or n - a: a' = sum of (2 v_j - (2^w - 1)) * 2^(w j) over the
 * windows v_j. Returns 1 where a' = n - a, so that the product is to be negated. */
KSF_INLINE uint64_t ksf_scalar_to_comb(uint8_t *digits, size_t stride, const ksf_scalar *a, const ksf_comb *comb) {
    const unsigned w = comb->w, nw = comb->nw;
    uint64_t k[7] = {0}, borrow = 0;
    const uint64_t even = 1 ^ (a->d[0] & 1), negate = ksf_mask(even);
    for (int i = 0; i < 4; i++) {
        const ksf_u128_ d = (ksf_u128_)ksf_order.d[i] - a->d[i] - borrow;
        borrow = (uint64_t)(d >> 64) & 1;
        k[i] = ksf_select(negate, (uint64_t)d, a->d[i]);
    }
    /* the windows of (a' - 1)/2 + 2^(w nw - 1): with all digits odd, 2 * that - (2^(w nw) - 1) = a' */
    for (int i = 0; i < 3; i++) k[i] = k[i] >> 1 | k[i + 1] << 63;
    k[3] >>= 1;
    k[(w * nw - 1) >> 6] |= 1ULL << ((w * nw - 1) & 63);
    for (unsigned j = 0; j < nw; j++) {
        const unsigned at = j * w, word = at >> 6, bit = at & 63;
        uint64_t v = k[word] >> bit;
        if (bit + w > 64) v |= k[word + 1] << (64 - bit); /* which windows straddle words is public */
        digits[j * stride] = (uint8_t)(v & ((1u << w) - 1));
    }
    ksf_wipe(k, sizeof k);
    return even;
}

/* -- the endomorphism ---------------------------------------------------------------------------------------------- */
#if !defined(KSF_SMALL_CURVE)
/* A scalar is k1 + lambda * k2 with two odd halves of KSF_GLV_DIGITS digits of KSF_GLV_W bits (lambda * (x, y) = (beta * x, y)). */
enum { KSF_GLV_W = 5, KSF_GLV_DIGITS = 26 };

/* The lattice of (x, y) with x + lambda * y = 0 mod n has the reduced basis (a1, b1), (a2, a1):
 * check-magic: 0 == (0x3086D221A7D46BCDE86C90E49284EB15 - 0xE4437ED6010E88286F547FA90ABFE4C3 * lam) % n
 * check-magic: 0 == (0x114CA50F7A8E2F3F657C1108D9D44CFD8 + 0x3086D221A7D46BCDE86C90E49284EB15 * lam) % n */
#define KSF_GLV_A1 \
    { 0xE86C90E49284EB15ULL, 0x3086D221A7D46BCDULL, 0 }
#define KSF_GLV_MINUS_B1 \
    { 0x6F547FA90ABFE4C3ULL, 0xE4437ED6010E8828ULL, 0 }
#define KSF_GLV_A2 \
    { 0x57C1108D9D44CFD8ULL, 0x14CA50F7A8E2F3F6ULL, 1 }
/* round(2^384 * a1 / n) and round(2^384 * -b1 / n):
 * check-magic: 0x3086D221A7D46BCDE86C90E49284EB153DAA8A1471E8CA7FE893209A45DBB031 == (2**385 * 0x3086D221A7D46BCDE86C90E49284EB15 + n) // (2 * n)
 * check-magic: 0xE4437ED6010E88286F547FA90ABFE4C4221208AC9DF506C61571B4AE8AC47F71 == (2**385 * 0xE4437ED6010E88286F547FA90ABFE4C3 + n) // (2 * n) */
#define KSF_GLV_G1 \
    { 0xE893209A45DBB031ULL, 0x3DAA8A1471E8CA7FULL, 0xE86C90E49284EB15ULL, 0x3086D221A7D46BCDULL }
#define KSF_GLV_G2 \
    { 0x1571B4AE8AC47F71ULL, 0x221208AC9DF506C6ULL, 0x6F547FA90ABFE4C4ULL, 0xE4437ED6010E8828ULL }

typedef struct ksf_u192 {
    uint64_t d[3];
} ksf_u192;

/* (k * g + 2^383) >> 384, below 2^128 */
KSF_INLINE ksf_u192 ksf_glv_round(const ksf_scalar *k, const uint64_t g[4]) {
    uint64_t t[8] = {0};
    for (int i = 0; i < 4; i++) {
        ksf_u128_ c = 0;
        for (int j = 0; j < 4; j++) {
            c += (ksf_u128_)k->d[i] * g[j] + t[i + j];
            t[i + j] = (uint64_t)c;
            c >>= 64;
        }
        t[i + 4] = (uint64_t)c;
    }
    const ksf_u128_ s = (ksf_u128_)t[6] + (t[5] >> 63);
    return (ksf_u192){{(uint64_t)s, t[7] + (uint64_t)(s >> 64), 0}};
}
/* r += (a & mask), or r -= (a & mask) where minus is 1; mod 2^192 */
KSF_INLINE void ksf_u192_add(ksf_u192 *r, const ksf_u192 *a, uint64_t mask, uint64_t minus) {
    const uint64_t flip = 0 - minus;
    ksf_u128_ c = minus;
    for (int i = 0; i < 3; i++) {
        c += (ksf_u128_)r->d[i] + ((a->d[i] & mask) ^ flip);
        r->d[i] = (uint64_t)c;
        c >>= 64;
    }
}
/* a * b mod 2^192 */
KSF_INLINE ksf_u192 ksf_u192_mul(const ksf_u192 *a, const ksf_u192 *b) {
    ksf_u192 r = {{0, 0, 0}};
    for (int i = 0; i < 3; i++) {
        ksf_u128_ c = 0;
        for (int j = 0; i + j < 3; j++) {
            c += (ksf_u128_)a->d[i] * b->d[j] + r.d[i + j];
            r.d[i + j] = (uint64_t)c;
            c >>= 64;
        }
    }
    return r;
}
/* e in [1, n-1] as k1 + lambda * k2 = e mod n, both odd: digits1 and digits2 [j * stride] are the windows of |k1|, |k2|,
 * *negative1 and *negative2 their signs (1 where negative).
 *
 * Rounding leaves |k1| <= (a1 + a2)/2 and |k2| <= (-b1 + a1)/2 but for one unit in 2^126; to make both odd, (a1, b1), whose
 * coordinates are odd and odd, and (a2, a1), even and odd, are added where needed. So |k1| < 1.5 * (a1 + a2) < 2^129 and
 * |k2| < 1.5 * (a1 - b1) < 2^129: within 26 odd digits of 5 bits, which reach 2^130 - 1, and within 192 bits signed. */
KSF_INLINE void ksf_scalar_to_glv(uint8_t *digits1, uint8_t *digits2, size_t stride, uint64_t *negative1, uint64_t *negative2,
                                  const ksf_scalar *e) {
    static const uint64_t g1[4] = KSF_GLV_G1, g2[4] = KSF_GLV_G2;
    static const ksf_u192 a1 = {KSF_GLV_A1}, minus_b1 = {KSF_GLV_MINUS_B1}, a2 = {KSF_GLV_A2};
    const ksf_u192 c1 = ksf_glv_round(e, g1), c2 = ksf_glv_round(e, g2);
    ksf_u192 k[2] = {{{e->d[0], e->d[1], e->d[2]}}, {{0, 0, 0}}}, t;
    /* (k1, k2) = (e, 0) - c1 * (a1, b1) - c2 * (a2, a1) */
    t = ksf_u192_mul(&c1, &a1), ksf_u192_add(&k[0], &t, ~0ULL, 1);
    t = ksf_u192_mul(&c2, &a2), ksf_u192_add(&k[0], &t, ~0ULL, 1);
    t = ksf_u192_mul(&c1, &minus_b1), ksf_u192_add(&k[1], &t, ~0ULL, 0);
    t = ksf_u192_mul(&c2, &a1), ksf_u192_add(&k[1], &t, ~0ULL, 1);
    uint64_t even = ksf_mask(1 ^ (k[0].d[0] & 1));
    ksf_u192_add(&k[0], &a1, even, 0), ksf_u192_add(&k[1], &minus_b1, even, 1);
    even = ksf_mask(1 ^ (k[1].d[0] & 1));
    ksf_u192_add(&k[0], &a2, even, 0), ksf_u192_add(&k[1], &a1, even, 0);
    for (int half = 0; half < 2; half++) {
        const uint64_t negative = k[half].d[2] >> 63, flip = ksf_mask(negative);
        uint64_t v[4] = {0};
        ksf_u128_ c = negative;
        for (int i = 0; i < 3; i++) {
            c += k[half].d[i] ^ flip;
            v[i] = (uint64_t)c;
            c >>= 64;
        }
        for (int i = 0; i < 2; i++) v[i] = v[i] >> 1 | v[i + 1] << 63;
        v[2] = v[2] >> 1 | 2; /* bit 129: as in ksf_scalar_to_comb */
        uint8_t *digits = half ? digits2 : digits1;
        for (unsigned j = 0; j < KSF_GLV_DIGITS; j++) {
            const unsigned at = KSF_GLV_W * j, word = at >> 6, bit = at & 63;
            uint64_t d = v[word] >> bit;
            if (bit + KSF_GLV_W > 64) d |= v[word + 1] << (64 - bit);
            digits[j * stride] = (uint8_t)(d & ((1u << KSF_GLV_W) - 1));
        }
        *(half ? negative2 : negative1) = negative;
        ksf_wipe(v, sizeof v);
    }
    ksf_wipe(k, sizeof k);
}
#endif

#endif
