/* naive.h - slow and obvious arithmetic mod p and affine points, sharing no code with csrc/: what the tests compare with. */
#ifndef KSF_TEST_NAIVE_H
#define KSF_TEST_NAIVE_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct naive_fe {
    uint64_t w[4]; /* least significant first, below p */
} naive_fe;
typedef struct naive_point {
    naive_fe x, y;
} naive_point;
typedef unsigned __int128 naive_u128;

static const naive_fe naive_p = {{0xFFFFFFFEFFFFFC2FULL, ~0ULL, ~0ULL, ~0ULL}};

static inline int naive_below(const naive_fe *a, const naive_fe *b) {
    for (int i = 3; i >= 0; i--)
        if (a->w[i] != b->w[i]) return a->w[i] < b->w[i];
    return 0;
}
static inline uint64_t naive_carry_add(naive_fe *r, const naive_fe *a, const naive_fe *b) {
    naive_u128 c = 0;
    for (int i = 0; i < 4; i++) c += (naive_u128)a->w[i] + b->w[i], r->w[i] = (uint64_t)c, c >>= 64;
    return (uint64_t)c;
}
static inline uint64_t naive_borrow_sub(naive_fe *r, const naive_fe *a, const naive_fe *b) {
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        const naive_u128 d = (naive_u128)a->w[i] - b->w[i] - borrow;
        r->w[i] = (uint64_t)d, borrow = (uint64_t)(d >> 64) & 1;
    }
    return borrow;
}
static inline naive_fe naive_add(naive_fe a, naive_fe b) {
    naive_fe r;
    if (naive_carry_add(&r, &a, &b) || !naive_below(&r, &naive_p)) naive_borrow_sub(&r, &r, &naive_p);
    return r;
}
static inline naive_fe naive_sub(naive_fe a, naive_fe b) {
    naive_fe r;
    if (naive_borrow_sub(&r, &a, &b)) naive_carry_add(&r, &r, &naive_p);
    return r;
}
/* Schoolbook, then twice: high part times 2^256 mod p = 2^32 + 977. */
static inline naive_fe naive_mul(naive_fe a, naive_fe b) {
    uint64_t t[9] = {0};
    for (int i = 0; i < 4; i++) {
        naive_u128 c = 0;
        for (int j = 0; j < 4; j++) c += (naive_u128)a.w[i] * b.w[j] + t[i + j], t[i + j] = (uint64_t)c, c >>= 64;
        t[i + 4] = (uint64_t)c;
    }
    naive_u128 c = 0;
    naive_fe r;
    for (int i = 0; i < 4; i++) c += (naive_u128)t[i + 4] * ((1ULL << 32) + 977) + t[i], r.w[i] = (uint64_t)c, c >>= 64;
    while (c) { /* c * 2^256 */
        naive_u128 d = c * ((1ULL << 32) + 977);
        for (int i = 0; i < 4; i++) d += r.w[i], r.w[i] = (uint64_t)d, d >>= 64;
        c = d;
    }
    if (!naive_below(&r, &naive_p)) naive_borrow_sub(&r, &r, &naive_p);
    return r;
}
static inline int naive_is_zero(naive_fe a) { return !(a.w[0] | a.w[1] | a.w[2] | a.w[3]); }
/* a^(p-2) */
static inline naive_fe naive_inverse(naive_fe a) {
    naive_fe r = {{1, 0, 0, 0}}, e = naive_p;
    e.w[0] -= 2;
    for (int i = 255; i >= 0; i--) {
        r = naive_mul(r, r);
        if (e.w[i / 64] >> i % 64 & 1) r = naive_mul(r, a);
    }
    return r;
}
/* a + b by the slope's inverse denominator; a != +-b */
static inline naive_point naive_add_with(naive_point a, naive_point b, naive_fe dx_inverse) {
    const naive_fe slope = naive_mul(naive_sub(b.y, a.y), dx_inverse);
    naive_point r;
    r.x = naive_sub(naive_sub(naive_mul(slope, slope), a.x), b.x);
    r.y = naive_sub(naive_mul(slope, naive_sub(a.x, r.x)), a.y);
    return r;
}
static inline naive_point naive_point_add(naive_point a, naive_point b) { return naive_add_with(a, b, naive_inverse(naive_sub(b.x, a.x))); }
static inline naive_point naive_point_double(naive_point a) {
    const naive_fe xx = naive_mul(a.x, a.x), slope = naive_mul(naive_add(naive_add(xx, xx), xx), naive_inverse(naive_add(a.y, a.y)));
    naive_point r;
    r.x = naive_sub(naive_mul(slope, slope), naive_add(a.x, a.x));
    r.y = naive_sub(naive_mul(slope, naive_sub(a.x, r.x)), a.y);
    return r;
}
/* out[i] = i * g, 0 < i < order (a prime above 3): runs of 256 additions to one point share an inversion */
static inline naive_point *naive_multiples(naive_point g, size_t order) {
    enum { RUN = 256 };
    naive_point *out = calloc(order, sizeof *out);
    naive_fe prefix[RUN], product, dx;
    if (!out) abort();
    out[1] = g;
    if (order > 2) out[2] = naive_point_double(g);
    size_t known = 3; /* out[1..known) */
    for (; known < order && known <= RUN + 1; known++) out[known] = naive_point_add(out[known - 1], g);
    while (known < order) {
        const size_t step = known - 1, count = order - known < RUN ? order - known : RUN; /* out[step + j] = out[step] + out[j], j < step */
        product = (naive_fe){{1, 0, 0, 0}};
        for (size_t j = 1; j <= count; j++) {
            prefix[j - 1] = product;
            product = naive_mul(product, naive_sub(out[j].x, out[step].x));
        }
        product = naive_inverse(product);
        for (size_t j = count; j >= 1; j--) {
            dx = naive_sub(out[j].x, out[step].x);
            out[step + j] = naive_add_with(out[step], out[j], naive_mul(product, prefix[j - 1]));
            product = naive_mul(product, dx);
        }
        known += count;
    }
    return out;
}

#endif
