/* group_impl.h - points of y^2 = x^3 + b in lanes: Jacobian doubling and addition, batches of affine additions that share one
 * inversion, decompression and serialisation. Constant time, but which points are loaded from bytes is public.
 *
 * Formulas are incomplete: each contract says which points may not meet, and the callers prove that they do not. */
#ifndef KSF_GROUP_IMPL_H
#define KSF_GROUP_IMPL_H
#include "fe_impl.h"

/* (x / z^2, y / z^3) in every lane; never infinity. Coordinates are factors. */
typedef struct ksf_gej {
    ksf_fe x, y, z;
} ksf_gej;

KSF_INLINE void ksf_gej_set_ge(ksf_gej *r, const ksf_ge *a) {
    r->x = a->x, r->y = a->y;
    ksf_fe_set_small(&r->z, 1);
}

/* p[k] = 2 p[k], k < n (n = 1 or 2, a constant), step by step side by side. No exception: the group has no point of order 2.
 * With L = 3/2 X^2, S = Y^2, T = X S: X' = L^2 - 2T, Y' = L (T - X') - S^2, Z' = Y Z. 3M + 4S. */
KSF_INLINE void ksf_gej_double(ksf_gej *p, const int n) {
    ksf_fe l[2], s[2], t[2], u[2];
    for (int k = 0; k < n; k++) ksf_fe_sqr(&l[k], &p[k].x);
    for (int k = 0; k < n; k++) ksf_fe_sqr(&s[k], &p[k].y);
    for (int k = 0; k < n; k++) {
        ksf_fe_add(&u[k], &l[k], &l[k]);
        ksf_fe_add(&u[k], &u[k], &l[k]);
        ksf_fe_half(&l[k], &u[k]);
    }
    for (int k = 0; k < n; k++) ksf_fe_mul(&p[k].z, &p[k].y, &p[k].z);
    for (int k = 0; k < n; k++) ksf_fe_mul(&t[k], &p[k].x, &s[k]);
    for (int k = 0; k < n; k++) ksf_fe_sqr(&s[k], &s[k]);
    for (int k = 0; k < n; k++) {
        ksf_fe_add(&u[k], &t[k], &t[k]);
        ksf_fe_sqr_sub(&p[k].x, &l[k], &u[k]);
    }
    for (int k = 0; k < n; k++) {
        ksf_fe_sub(&u[k], &t[k], &p[k].x);
        ksf_fe_carry(&p[k].x);
    }
    for (int k = 0; k < n; k++) {
        ksf_fe_mul_sub(&p[k].y, &l[k], &u[k], &s[k]);
        ksf_fe_carry(&p[k].y);
    }
}

/* r[k] = p[k] + q[k], k < n (n = 1 or 2, a constant), step by step side by side. q's coordinates are factors; p != +-q in every
 * lane. Returns h, which is zero (mod p) in a lane that breaks this: p = q or p = -q there, and r is (0 : 0 : 0). 8M + 3S. */
KSF_INLINE void ksf_gej_add_ge_abreast(ksf_gej *r, const ksf_gej *p, const ksf_ge *q, ksf_fe *h, const int n) {
    ksf_fe zz[2], u[2], s[2], d[2], hh[2], v[2], w[2];
    for (int k = 0; k < n; k++) ksf_fe_sqr(&zz[k], &p[k].z);
    for (int k = 0; k < n; k++) ksf_fe_mul(&u[k], &zz[k], &q[k].x);
    for (int k = 0; k < n; k++) ksf_fe_mul(&s[k], &zz[k], &p[k].z);
    for (int k = 0; k < n; k++) ksf_fe_sub_carried(&h[k], &u[k], &p[k].x);
    for (int k = 0; k < n; k++) ksf_fe_mul(&s[k], &s[k], &q[k].y);
    for (int k = 0; k < n; k++) ksf_fe_sub_carried(&d[k], &s[k], &p[k].y);
    for (int k = 0; k < n; k++) ksf_fe_sqr(&hh[k], &h[k]);
    for (int k = 0; k < n; k++) ksf_fe_mul(&r[k].z, &h[k], &p[k].z);
    for (int k = 0; k < n; k++) ksf_fe_mul(&v[k], &hh[k], &p[k].x);
    for (int k = 0; k < n; k++) ksf_fe_mul(&u[k], &hh[k], &h[k]);
    for (int k = 0; k < n; k++) ksf_fe_mul(&s[k], &u[k], &p[k].y);
    for (int k = 0; k < n; k++) {
        ksf_fe_add(&w[k], &v[k], &v[k]);
        ksf_fe_add(&w[k], &w[k], &u[k]);
        ksf_fe_sqr_sub(&r[k].x, &d[k], &w[k]);
    }
    for (int k = 0; k < n; k++) ksf_fe_sub(&u[k], &v[k], &r[k].x);
    for (int k = 0; k < n; k++) {
        ksf_fe_mul_sub(&r[k].y, &d[k], &u[k], &s[k]);
        ksf_fe_carry(&r[k].x);
        ksf_fe_carry(&r[k].y);
    }
}
/* The same for an affine p, coordinates factors of magnitude 1: 4M + 2S. z is the difference of the x's, of magnitude 6. */
KSF_INLINE void ksf_gej_set_sum_abreast(ksf_gej *r, const ksf_ge *p, const ksf_ge *q, const int n) {
    ksf_fe u[2], d[2], hh[2], v[2], w[2], s[2];
    for (int k = 0; k < n; k++) ksf_fe_sub_carried(&r[k].z, &q[k].x, &p[k].x);
    for (int k = 0; k < n; k++) ksf_fe_sub_carried(&d[k], &q[k].y, &p[k].y);
    for (int k = 0; k < n; k++) ksf_fe_sqr(&hh[k], &r[k].z);
    for (int k = 0; k < n; k++) ksf_fe_mul(&v[k], &hh[k], &p[k].x);
    for (int k = 0; k < n; k++) ksf_fe_mul(&u[k], &hh[k], &r[k].z);
    for (int k = 0; k < n; k++) ksf_fe_mul(&s[k], &u[k], &p[k].y);
    for (int k = 0; k < n; k++) {
        ksf_fe_add(&w[k], &v[k], &v[k]);
        ksf_fe_add(&w[k], &w[k], &u[k]);
        ksf_fe_sqr_sub(&r[k].x, &d[k], &w[k]);
    }
    for (int k = 0; k < n; k++) ksf_fe_sub(&u[k], &v[k], &r[k].x);
    for (int k = 0; k < n; k++) {
        ksf_fe_mul_sub(&r[k].y, &d[k], &u[k], &s[k]);
        ksf_fe_carry(&r[k].x);
        ksf_fe_carry(&r[k].y);
    }
}
KSF_INLINE void ksf_gej_add_ge(ksf_gej *r, const ksf_gej *p, const ksf_ge *q, ksf_fe *h) { ksf_gej_add_ge_abreast(r, p, q, h, 1); }
/* r = p + q, p != +-q in every lane; r may be p. 12M + 4S. */
KSF_INLINE void ksf_gej_add(ksf_gej *r, const ksf_gej *p, const ksf_gej *q) {
    ksf_fe pp, qq, u1, u2, s1, s2, h, d, hh, v, w;
    ksf_fe_sqr(&pp, &p->z);
    ksf_fe_sqr(&qq, &q->z);
    ksf_fe_mul(&u1, &p->x, &qq);
    ksf_fe_mul(&u2, &q->x, &pp);
    ksf_fe_mul(&s1, &p->y, &q->z);
    ksf_fe_mul(&s2, &q->y, &p->z);
    ksf_fe_mul(&w, &p->z, &q->z);
    ksf_fe_mul(&s1, &s1, &qq);
    ksf_fe_mul(&s2, &s2, &pp);
    ksf_fe_sub_carried(&h, &u2, &u1);
    ksf_fe_sub_carried(&d, &s2, &s1);
    ksf_fe_sqr(&hh, &h);
    ksf_fe_mul(&r->z, &h, &w);
    ksf_fe_mul(&v, &hh, &u1);
    ksf_fe_mul(&u2, &hh, &h);
    ksf_fe_mul(&s2, &u2, &s1);
    ksf_fe_add(&w, &v, &v);
    ksf_fe_add(&w, &w, &u2);
    ksf_fe_sqr_sub(&r->x, &d, &w);
    ksf_fe_sub(&u1, &v, &r->x);
    ksf_fe_mul_sub(&r->y, &d, &u1, &s2);
    ksf_fe_carry(&r->x);
    ksf_fe_carry(&r->y);
}
KSF_INLINE void ksf_gej_cmov(ksf_gej *r, const ksf_gej *a, ksf_lane_mask mask) {
    ksf_fe_cmov(&r->x, &a->x, mask);
    ksf_fe_cmov(&r->y, &a->y, mask);
    ksf_fe_cmov(&r->z, &a->z, mask);
}

/* -- shared inversions --------------------------------------------------------------------------------------------- */
/* Room for one element of a shared inversion: the product of those before it in its chain, and the element itself. */
typedef struct ksf_slot {
    ksf_fe before, self;
} ksf_slot;

/* inverse[c] = 1 / product[c], c < KSF_CHAINS: one inversion. No lane of any product may be zero. */
KSF_INLINE void ksf_chains_invert(ksf_fe inverse[KSF_CHAINS], const ksf_fe product[KSF_CHAINS]) {
    ksf_fe upto[KSF_CHAINS], t;
    upto[0] = product[0];
    for (int c = 1; c < KSF_CHAINS; c++) ksf_fe_mul(&upto[c], &upto[c - 1], &product[c]);
    ksf_fe_inverse(&t, &upto[KSF_CHAINS - 1]);
    for (int c = KSF_CHAINS - 1; c > 0; c--) {
        ksf_fe_mul(&inverse[c], &t, &upto[c - 1]);
        ksf_fe_mul(&t, &t, &product[c]);
    }
    inverse[0] = t;
}

/* out[i] = in[i] in affine coordinates (factors), i < n, n >= 1. No z is zero in any lane. slots: n. out is not in. */
static __attribute__((noinline)) void ksf_ge_set_gej_many(ksf_ge *out, const ksf_gej *in, size_t n, ksf_slot *slots) {
    ksf_fe product[KSF_CHAINS], inverse[KSF_CHAINS], zi, zz;
    for (int c = 0; c < KSF_CHAINS; c++) ksf_fe_set_small(&product[c], 1);
    for (size_t i = 0; i < n; i++) {
        slots[i].before = product[i % KSF_CHAINS];
        ksf_fe_mul(&product[i % KSF_CHAINS], &product[i % KSF_CHAINS], &in[i].z);
    }
    ksf_chains_invert(inverse, product);
    for (size_t i = n; i-- > 0;) {
        ksf_fe_mul(&zi, &inverse[i % KSF_CHAINS], &slots[i].before);
        ksf_fe_mul(&inverse[i % KSF_CHAINS], &inverse[i % KSF_CHAINS], &in[i].z);
        ksf_fe_sqr(&zz, &zi);
        ksf_fe_mul(&out[i].x, &zz, &in[i].x);
        ksf_fe_mul(&zz, &zz, &zi);
        ksf_fe_mul(&out[i].y, &zz, &in[i].y);
    }
}

/* An affine addition to do: *sum = *a + *b; sum may be a or b. */
typedef struct ksf_add_job {
    const ksf_ge *a, *b;
    ksf_ge *sum;
} ksf_add_job;

/* The first half of an addition: its denominator joins a chain. */
KSF_INLINE void ksf_add_begin(const ksf_add_job *job, ksf_slot *slot, ksf_fe *product) {
    ksf_fe dx;
    ksf_fe_sub(&dx, &job->b->x, &job->a->x);
    slot->before = *product;
    slot->self = dx;
    ksf_fe_mul(product, product, &dx);
}
/* The second half of `count` additions (a constant, 1 or 2), for chain products inverse[k]. */
KSF_INLINE void ksf_add_finish(const ksf_add_job *job, const ksf_slot *slot, ksf_fe *inverse, const int count) {
    ksf_fe dx_inverse[2], dy[2], slope[2], x[2], t[2], y;
    for (int k = 0; k < count; k++) ksf_fe_mul_and_sub(&dx_inverse[k], &inverse[k], &slot[k].before, &dy[k], &job[k].b->y, &job[k].a->y);
    for (int k = 0; k < count; k++) ksf_fe_mul(&slope[k], &dx_inverse[k], &dy[k]);
    for (int k = 0; k < count; k++) {
        ksf_fe_add(&t[k], &job[k].a->x, &job[k].b->x);
        ksf_fe_sqr_sub(&x[k], &slope[k], &t[k]);
    }
    for (int k = 0; k < count; k++) ksf_fe_mul_and_sub(&inverse[k], &inverse[k], &slot[k].self, &t[k], &job[k].a->x, &x[k]);
    for (int k = 0; k < count; k++) {
        ksf_fe_mul_sub(&y, &slope[k], &t[k], &job[k].a->y);
        job[k].sum->y = y;
        job[k].sum->x = x[k];
    }
}
/* All n additions with one inversion: 5M + 1S each. In no lane may a job's a.x and b.x be equal: that would make every job's
 * result in that lane zero. Coordinates go in and come out as addends; their spread grows by 10 more than doubling, so at most six
 * levels may follow a selection: spread 694. slots: n. */
static __attribute__((noinline)) void ksf_add_many(const ksf_add_job *jobs, size_t n, ksf_slot *slots) {
    ksf_fe product[KSF_CHAINS], inverse[KSF_CHAINS];
    const size_t whole = n - n % KSF_CHAINS;
    for (int c = 0; c < KSF_CHAINS; c++) ksf_fe_set_small(&product[c], 1);
    for (size_t i = 0; i < whole; i += KSF_CHAINS)
        for (int c = 0; c < KSF_CHAINS; c++) ksf_add_begin(&jobs[i + c], &slots[i + c], &product[c]);
    for (size_t i = whole; i < n; i++) ksf_add_begin(&jobs[i], &slots[i], &product[i - whole]);
    ksf_chains_invert(inverse, product);
    for (size_t i = n; i > whole; i--) ksf_add_finish(&jobs[i - 1], &slots[i - 1], &inverse[i - 1 - whole], 1);
    for (size_t i = whole; i > 0; i -= KSF_CHAINS)
        for (int c = KSF_CHAINS - KSF_ABREAST; c >= 0; c -= KSF_ABREAST)
            ksf_add_finish(&jobs[i - KSF_CHAINS + c], &slots[i - KSF_CHAINS + c], &inverse[c], KSF_ABREAST);
}

/* -- bytes --------------------------------------------------------------------------------------------------------- */
/* The words of 32 big-endian bytes; 1 if they are below p. */
KSF_INLINE int ksf_fe_words_load(uint64_t words[4], const uint8_t b[32]) {
    for (int i = 0; i < 4; i++) words[i] = ksf_load64_be(b + 24 - 8 * i);
    return !(words[0] >= 0 - KSF_P_COMPLEMENT && (words[1] & words[2] & words[3]) == ~0ULL);
}
/* out = compressed point of one lane, p normalized; y's sign turned where negate is 1. */
KSF_INLINE void ksf_ge_serialize(uint8_t out[33], const ksf_ge *p, unsigned lane, uint64_t negate) {
    uint64_t x[4], y[4];
    ksf_fe_get_lane(x, &p->x, lane);
    ksf_fe_get_lane(y, &p->y, lane);
    out[0] = (uint8_t)(2 + ((y[0] ^ negate) & 1)); /* y != 0: -y has the other parity */
    for (int i = 0; i < 4; i++) ksf_store64_be(out + 1 + 8 * i, x[3 - i]);
    ksf_wipe(x, sizeof x), ksf_wipe(y, sizeof y);
}
/* p[k].y from p[k].x (factors, magnitude 1), odd where the mask says so, k < KSF_ABREAST, both normalized. Returns in valid[k] the
 * lanes whose x is on the curve; the others' y means nothing. */
static __attribute__((noinline)) void ksf_ge_decompress(ksf_ge *p, const ksf_lane_mask *odd, ksf_lane_mask *valid) {
    ksf_fe b, zero, cube[KSF_ABREAST], y[KSF_ABREAST], t;
    ksf_fe_set_small(&b, KSF_CURVE_B);
    ksf_fe_set_small(&zero, 0);
    for (int k = 0; k < KSF_ABREAST; k++) {
        ksf_fe_sqr(&t, &p[k].x);
        ksf_fe_mul(&t, &t, &p[k].x);
        ksf_fe_add(&cube[k], &t, &b);
        ksf_fe_normalize(&cube[k]);
    }
    ksf_fe_sqrt(y, cube);
    for (int k = 0; k < KSF_ABREAST; k++) {
        ksf_fe_sqr(&t, &y[k]);
        ksf_fe_sub(&t, &t, &cube[k]);
        ksf_fe_normalize(&t);
        valid[k] = ksf_fe_is_zero(&t);
        ksf_fe_normalize(&y[k]);
        ksf_fe_sub(&t, &zero, &y[k]);
        ksf_fe_normalize(&t);
        ksf_fe_cmov(&y[k], &t, ksf_lane_mask_xor(ksf_fe_is_odd(&y[k]), odd[k]));
        p[k].y = y[k];
        ksf_fe_normalize(&p[k].x);
    }
}

#endif
