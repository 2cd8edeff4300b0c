/* modinv_impl.h - the inverse of one element mod p in constant time: Bernstein and Yang's safegcd in plain C.
 *
 * D. J. Bernstein, B.-Y. Yang, "Fast constant-time gcd computation and modular inversion" (TCHES 2019), with divsteps that start
 * at delta = 1/2 (P. Wuille; 590 of them suffice for 256-bit moduli: libsecp256k1, doc/safegcd_implementation.md). We take 600, as
 * ten rounds of 60. zeta = -(delta + 1/2). Numbers are signed, five limbs of 60 bits, and p = 2^256 - K is kept sparse:
 * limb 0 is -K, limb 4 is 2^16. Needs arithmetic right shift of negative numbers, as gcc and clang define it. */
#ifndef KSF_MODINV_IMPL_H
#define KSF_MODINV_IMPL_H
#include "../util.h"
#include "curve.h"

#define KSF_MODINV_MASK 0xFFFFFFFFFFFFFFFLL
#define KSF_MODINV_K ((int64_t)KSF_P_COMPLEMENT)
#define KSF_MODINV_K_INVERSE 0x838091DD2253531LL /* check-magic: 0x838091DD2253531 == pow(2**256 - p, -1, 2**60) */
typedef __int128 ksf_i128;

typedef struct ksf_signed60 {
    int64_t v[5];
} ksf_signed60;

/* 60 divsteps on the low words f, g: returns the new zeta and the matrix (u v; q r), |u| + |v| <= 2^60, |q| + |r| <= 2^60, that
 * takes (f, g) to 2^60 times the new (f, g). Two runs of 30, whose factors (at most 2^30) are packed two to a word. */
KSF_INLINE int64_t ksf_modinv_steps(int64_t zeta, uint64_t f, uint64_t g, int64_t m[4]) {
    int64_t h[2][4];
    for (int half = 0; half < 2; half++) {
        uint64_t a = 1, b = 1ULL << 32; /* a = u + v * 2^32, b = q + r * 2^32 */
        for (int i = 0; i < 30; i++) {
            /* delta > 0 is zeta < 0; where that and g odd: (delta, f, g) <- (1 - delta, g, (g - f)/2), else
             * (1 + delta, f, (g + (g odd) f)/2) */
            const uint64_t minus = (uint64_t)(zeta >> 63), odd = ksf_mask(g & 1), swap = minus & odd;
            const uint64_t x = ((f ^ minus) - minus) & odd, y = ((a ^ minus) - minus) & odd;
            zeta = (zeta ^ (int64_t)swap) - 1;
            g += x, b += y;
            f += g & swap, a += b & swap;
            g >>= 1, a <<= 1;
        }
        h[half][0] = (int32_t)a, h[half][1] = (int64_t)(a - (uint64_t)(int64_t)(int32_t)a) >> 32;
        h[half][2] = (int32_t)b, h[half][3] = (int64_t)(b - (uint64_t)(int64_t)(int32_t)b) >> 32;
    }
    m[0] = h[1][0] * h[0][0] + h[1][1] * h[0][2], m[1] = h[1][0] * h[0][1] + h[1][1] * h[0][3];
    m[2] = h[1][2] * h[0][0] + h[1][3] * h[0][2], m[3] = h[1][2] * h[0][1] + h[1][3] * h[0][3];
    return zeta;
}
/* (f, g) <- matrix * (f, g) / 2^60, exact */
KSF_INLINE void ksf_modinv_update_fg(ksf_signed60 *f, ksf_signed60 *g, const int64_t m[4]) {
    ksf_i128 cf = (ksf_i128)m[0] * f->v[0] + (ksf_i128)m[1] * g->v[0], cg = (ksf_i128)m[2] * f->v[0] + (ksf_i128)m[3] * g->v[0];
    cf >>= 60, cg >>= 60; /* the low 60 bits are zero */
    for (int i = 1; i < 5; i++) {
        cf += (ksf_i128)m[0] * f->v[i] + (ksf_i128)m[1] * g->v[i];
        cg += (ksf_i128)m[2] * f->v[i] + (ksf_i128)m[3] * g->v[i];
        f->v[i - 1] = (int64_t)cf & KSF_MODINV_MASK, cf >>= 60;
        g->v[i - 1] = (int64_t)cg & KSF_MODINV_MASK, cg >>= 60;
    }
    f->v[4] = (int64_t)cf, g->v[4] = (int64_t)cg;
}
/* (d, e) <- matrix * (d, e) / 2^60 mod p; d and e stay in (-2p, p) */
KSF_INLINE void ksf_modinv_update_de(ksf_signed60 *d, ksf_signed60 *e, const int64_t m[4]) {
    const int64_t u = m[0], v = m[1], q = m[2], r = m[3];
    /* multiples of p to add: u, v, q, r for negative d, e; then what clears the low 60 bits: p = -K there, so (low / K) */
    const int64_t sd = d->v[4] >> 63, se = e->v[4] >> 63;
    int64_t md = (u & sd) + (v & se), me = (q & sd) + (r & se);
    ksf_i128 cd = (ksf_i128)u * d->v[0] + (ksf_i128)v * e->v[0], ce = (ksf_i128)q * d->v[0] + (ksf_i128)r * e->v[0];
    md -= (md - (int64_t)((uint64_t)cd * (uint64_t)KSF_MODINV_K_INVERSE)) & KSF_MODINV_MASK;
    me -= (me - (int64_t)((uint64_t)ce * (uint64_t)KSF_MODINV_K_INVERSE)) & KSF_MODINV_MASK;
    cd -= (ksf_i128)md * KSF_MODINV_K, ce -= (ksf_i128)me * KSF_MODINV_K;
    cd >>= 60, ce >>= 60;
    for (int i = 1; i < 4; i++) {
        cd += (ksf_i128)u * d->v[i] + (ksf_i128)v * e->v[i];
        ce += (ksf_i128)q * d->v[i] + (ksf_i128)r * e->v[i];
        d->v[i - 1] = (int64_t)cd & KSF_MODINV_MASK, cd >>= 60;
        e->v[i - 1] = (int64_t)ce & KSF_MODINV_MASK, ce >>= 60;
    }
    cd += (ksf_i128)u * d->v[4] + (ksf_i128)v * e->v[4] + ((ksf_i128)md << 16);
    ce += (ksf_i128)q * d->v[4] + (ksf_i128)r * e->v[4] + ((ksf_i128)me << 16);
    d->v[3] = (int64_t)cd & KSF_MODINV_MASK, d->v[4] = (int64_t)(cd >> 60);
    e->v[3] = (int64_t)ce & KSF_MODINV_MASK, e->v[4] = (int64_t)(ce >> 60);
}
/* d <- d + p where d is negative, limbs made canonical but for the top one's sign */
KSF_INLINE void ksf_modinv_add_p_if_negative(ksf_signed60 *d) {
    const int64_t negative = d->v[4] >> 63;
    d->v[0] -= KSF_MODINV_K & negative, d->v[4] += 0x10000 & negative;
    for (int i = 0; i < 4; i++) d->v[i + 1] += d->v[i] >> 60, d->v[i] &= KSF_MODINV_MASK;
}
/* out = in^-1 mod p, in [0, p); 0 for in = 0. in: words, least significant first, in [0, p). out may be in. */
static __attribute__((noinline)) void ksf_modinv(uint64_t out[4], const uint64_t in[4]) {
    ksf_signed60 f = {{-KSF_MODINV_K, 0, 0, 0, 0x10000}}, d = {{0}}, e = {{1, 0, 0, 0, 0}};
    ksf_signed60 g = {{(int64_t)in[0] & KSF_MODINV_MASK, (int64_t)(in[0] >> 60 | in[1] << 4) & KSF_MODINV_MASK,
                       (int64_t)(in[1] >> 56 | in[2] << 8) & KSF_MODINV_MASK, (int64_t)(in[2] >> 52 | in[3] << 12) & KSF_MODINV_MASK,
                       (int64_t)(in[3] >> 48)}};
    int64_t zeta = -1, m[4];
    for (int round = 0; round < 10; round++) {
        /* only 60 low bits of f and g are used: limb 1's sit above them */
        zeta = ksf_modinv_steps(zeta, (uint64_t)f.v[0], (uint64_t)g.v[0], m);
        ksf_modinv_update_de(&d, &e, m);
        ksf_modinv_update_fg(&f, &g, m);
    }
    /* g = 0, f = +-1 (f = +-p for in = 0, with d = 0), d = +-in^-1 in (-2p, p) */
    ksf_modinv_add_p_if_negative(&d);
    const int64_t sign = f.v[4] >> 63;
    for (int i = 0; i < 5; i++) d.v[i] = (d.v[i] ^ sign) - sign;
    for (int i = 0; i < 4; i++) d.v[i + 1] += d.v[i] >> 60, d.v[i] &= KSF_MODINV_MASK;
    ksf_modinv_add_p_if_negative(&d);
    out[0] = (uint64_t)d.v[0] | (uint64_t)d.v[1] << 60;
    out[1] = (uint64_t)d.v[1] >> 4 | (uint64_t)d.v[2] << 56;
    out[2] = (uint64_t)d.v[2] >> 8 | (uint64_t)d.v[3] << 52;
    out[3] = (uint64_t)d.v[3] >> 12 | (uint64_t)d.v[4] << 48;
    ksf_wipe(&d, sizeof d), ksf_wipe(&e, sizeof e), ksf_wipe(&f, sizeof f), ksf_wipe(&g, sizeof g), ksf_wipe(m, sizeof m);
}

#endif
