/* var_impl.h - many scalars times points without tables: one point in every lane, the endomorphism, and affine additions.
 *
 * A preparation of a point E is {1, 3, ..., 31} E and {1, 3, ..., 31} F with F = 2^65 E, affine; several products by E share it. A
 * scalar is k1 + lambda k2 with odd halves of 26 digits d_0..d_25 of 5 bits (scalar_impl.h). Digits j and j + 13 of both halves
 * select from the tables of E and F and sum to T_j, by three affine additions that share inversions, and
 *     e E = T_0 + 32 (T_1 + 32 (T_2 + ... + 32 T_12))
 * takes 60 doublings and 12 mixed additions.
 *
 * Which additions can be exceptional: a point is u E + v lambda E with integers u, v, and it is infinity only where (u, v) is in
 * the lattice of scalar_impl.h, whose nonzero vectors have a coordinate of at least 0xE443...C3 > 2^127. Inside T_j all
 * coordinates are below 2^71 and nonzero. In Horner's rule before T_0, a sum's coordinates are at most 2^125 + 2^71 and not both
 * zero, the difference's too: nothing exceptional, and no point is infinity. Where T_0 is added to A, A = -T_0 would make the
 * product infinity: not for a scalar in [1, n-1]. A = T_0 does happen, for about 2^7 scalars: there the sum is 2 T_0, computed
 * always and selected where the addition's h is zero. So the result is right for every scalar and every point. */
#ifndef KSF_VAR_IMPL_H
#define KSF_VAR_IMPL_H
#include "hop_table_impl.h"

enum {
    KSF_VAR_DIGITS = KSF_GLV_DIGITS / 2,
    KSF_VAR_ODD = 1 << (KSF_GLV_W - 1), /* odd multiples of E, and as many of F */
    KSF_VAR_POWERS = 9,                 /* 2, 4, 8, 16 E; F, 2, 4, 8, 16 F */
    KSF_VAR_F = KSF_GLV_W * KSF_VAR_DIGITS,
    KSF_VAR_POINTS = 4 * KSF_VAR_DIGITS,
    KSF_VAR_PREPARED = 2 * KSF_VAR_ODD,
};

#define KSF_BETA                                                                                   \
    {                                                                                              \
        0xC1396C28719501EEULL, 0x9CF0497512F58995ULL, 0x6E64479EAC3434E9ULL, 0x7AE96A2B657C0710ULL \
    } /* a cube root of 1                                                                          \
check-magic: 1 == pow(0x7AE96A2B657C07106E64479EAC3434E99CF0497512F58995C1396C28719501EE, 3, p) */

/* The digits of one scalar a lane. */
typedef struct ksf_glv {
    uint8_t d1[KSF_GLV_DIGITS][KSF_LANES], d2[KSF_GLV_DIGITS][KSF_LANES];
    uint32_t negative1, negative2; /* bit l: half of lane l is negative */
} ksf_glv;

KSF_INLINE void ksf_glv_set_lane(ksf_glv *r, unsigned lane, const ksf_scalar *e) {
    uint64_t negative1, negative2;
    ksf_scalar_to_glv(&r->d1[0][lane], &r->d2[0][lane], KSF_LANES, &negative1, &negative2, e);
    r->negative1 = (r->negative1 & ~(1u << lane)) | (uint32_t)negative1 << lane;
    r->negative2 = (r->negative2 & ~(1u << lane)) | (uint32_t)negative2 << lane;
}

/* Room for n vectors of points at a time. */
typedef struct ksf_var_space {
    ksf_gej *jacobian; /* n * KSF_VAR_POWERS */
    ksf_ge *power;     /* n * KSF_VAR_POWERS */
    ksf_ge *points;    /* n * KSF_VAR_POINTS */
    ksf_slot *slots;   /* n * 2 * KSF_VAR_DIGITS */
    ksf_add_job *jobs; /* n * 2 * KSF_VAR_DIGITS */
} ksf_var_space;

static uint8_t *ksf_var_layout(ksf_var_space *s, uint8_t *at, size_t n) {
    s->jacobian = (ksf_gej *)at, at += ksf_round_up(n * KSF_VAR_POWERS * sizeof(ksf_gej), 64);
    s->power = (ksf_ge *)at, at += ksf_round_up(n * KSF_VAR_POWERS * sizeof(ksf_ge), 64);
    s->points = (ksf_ge *)at, at += ksf_round_up(n * KSF_VAR_POINTS * sizeof(ksf_ge), 64);
    s->slots = (ksf_slot *)at, at += ksf_round_up(n * 2 * KSF_VAR_DIGITS * sizeof(ksf_slot), 64);
    s->jobs = (ksf_add_job *)at, at += ksf_round_up(n * 2 * KSF_VAR_DIGITS * sizeof(ksf_add_job), 64);
    return at;
}

/* prepared[32 i + k] = (2k+1) E_i, prepared[32 i + 16 + k] = (2k+1) F_i, k < 16, i < n; coordinates are addends of spread at most
 * 45. E: factors of magnitude 1. */
static __attribute__((noinline)) void ksf_var_prepare(ksf_ge *prepared, const ksf_ge *e, size_t n, const ksf_var_space *s) {
    for (size_t i = 0; i < n; i += KSF_ABREAST) {
        const size_t second = i + 1 < n ? i + 1 : i; /* an odd one out is doubled twice side by side */
        ksf_gej p[2];
        ksf_gej_set_ge(&p[0], &e[i]);
        ksf_gej_set_ge(&p[1], &e[second]);
        for (int k = 1; k <= KSF_VAR_F + KSF_GLV_W - 1; k++) {
            ksf_gej_double(p, KSF_ABREAST);
            const int slot = k < KSF_GLV_W ? k - 1 : k >= KSF_VAR_F ? k - KSF_VAR_F + KSF_GLV_W - 1 : -1;
            if (slot < 0) continue;
            s->jacobian[i * KSF_VAR_POWERS + (size_t)slot] = p[0];
            if (KSF_ABREAST == 2) s->jacobian[second * KSF_VAR_POWERS + (size_t)slot] = p[second != i];
        }
    }
    ksf_ge_set_gej_many(s->power, s->jacobian, n * KSF_VAR_POWERS, s->slots);
    for (size_t i = 0; i < n; i++) {
        prepared[KSF_VAR_PREPARED * i] = e[i];
        prepared[KSF_VAR_PREPARED * i + KSF_VAR_ODD] = s->power[KSF_VAR_POWERS * i + KSF_GLV_W - 1];
    }
    for (unsigned bit = 0; bit < KSF_GLV_W - 1; bit++) {
        size_t jobs = 0;
        for (size_t i = 0; i < n; i++)
            for (unsigned f = 0; f < 2; f++) {
                ksf_ge *odd = prepared + (2 * i + f) * KSF_VAR_ODD;
                const ksf_ge *power = s->power + KSF_VAR_POWERS * i + (f ? KSF_GLV_W : 0) + bit;
                for (unsigned k = 0; k < 1u << bit; k++) s->jobs[jobs++] = (ksf_add_job){odd + k, power, odd + k + (1u << bit)};
            }
        ksf_add_many(s->jobs, jobs, s->slots);
    }
}

/* Two digits of every lane from that lane's odd multiples: every entry is read once, whatever the digits are. */
KSF_INLINE void ksf_var_select(ksf_ge *r1, ksf_ge *r2, const ksf_ge *odd, const ksf_digits *d1, const ksf_digits *d2) {
    *r1 = odd[0], *r2 = odd[0];
    for (unsigned i = 1; i < KSF_VAR_ODD; i++) {
        const ksf_lane_mask hit1 = ksf_digits_equal(d1, i), hit2 = ksf_digits_equal(d2, i);
        ksf_fe_cmov(&r1->x, &odd[i].x, hit1), ksf_fe_cmov(&r1->y, &odd[i].y, hit1);
        ksf_fe_cmov(&r2->x, &odd[i].x, hit2), ksf_fe_cmov(&r2->y, &odd[i].y, hit2);
    }
    ksf_fe_negate_by(&r1->y, d1);
    ksf_fe_negate_by(&r2->y, d2);
}

/* out[i] = (the scalar of glv[i * glv_step], lane by lane) * (the point that prepared[32 i] was made from), affine factors, i < n,
 * n >= 1. glv_step is 1, or 0 for one set of digits for all. Scalars are in [1, n-1]. */
static __attribute__((noinline)) void ksf_var_mul(ksf_ge *out, const ksf_ge *prepared, const ksf_glv *glv, size_t glv_step, size_t n,
                                                  const ksf_var_space *s) {
    static const uint64_t beta_words[4] = KSF_BETA;
    ksf_fe beta;
    ksf_fe_set_all(&beta, beta_words);
    size_t jobs = 0;
    for (size_t i = 0; i < n; i++) {
        const ksf_glv *g = &glv[i * glv_step];
        const ksf_lane_mask minus1 = ksf_lane_mask_from_bits(g->negative1), minus2 = ksf_lane_mask_from_bits(g->negative2);
        const ksf_ge *e = prepared + KSF_VAR_PREPARED * i, *f = e + KSF_VAR_ODD;
        for (unsigned j = 0; j < KSF_VAR_DIGITS; j++) {
            ksf_ge *t = s->points + KSF_VAR_POINTS * i + 4 * j;
            ksf_digits d1, d2;
            ksf_digits_load(&d1, g->d1[j], KSF_GLV_W, minus1);
            ksf_digits_load(&d2, g->d2[j], KSF_GLV_W, minus2);
            ksf_var_select(&t[0], &t[2], e, &d1, &d2);
            ksf_digits_load(&d1, g->d1[j + KSF_VAR_DIGITS], KSF_GLV_W, minus1);
            ksf_digits_load(&d2, g->d2[j + KSF_VAR_DIGITS], KSF_GLV_W, minus2);
            ksf_var_select(&t[1], &t[3], f, &d1, &d2);
            s->jobs[jobs++] = (ksf_add_job){&t[0], &t[1], &t[0]};
            s->jobs[jobs++] = (ksf_add_job){&t[2], &t[3], &t[2]};
        }
    }
    ksf_add_many(s->jobs, jobs, s->slots);
    jobs = 0;
    for (size_t i = 0; i < n * KSF_VAR_DIGITS; i++) {
        ksf_ge *t = s->points + 4 * i;
        ksf_fe_carry(&t[2].x);
        ksf_fe_mul(&t[2].x, &beta, &t[2].x);
        s->jobs[jobs++] = (ksf_add_job){&t[0], &t[2], &t[0]};
    }
    ksf_add_many(s->jobs, jobs, s->slots);
    for (size_t i = 0; i < n * KSF_VAR_DIGITS; i++) ksf_fe_carry(&s->points[4 * i].x), ksf_fe_carry(&s->points[4 * i].y);

    for (size_t i = 0; i < n; i += KSF_ABREAST) {
        const size_t lane_set[2] = {i, i + 1 < n ? i + 1 : i};
        ksf_gej a[2], twice[2];
        ksf_fe h[2];
        for (int k = 0; k < KSF_ABREAST; k++) ksf_gej_set_ge(&a[k], s->points + KSF_VAR_POINTS * lane_set[k] + 4 * (KSF_VAR_DIGITS - 1));
        for (int j = KSF_VAR_DIGITS - 2; j >= 0; j--) {
            for (int bit = 0; bit < KSF_GLV_W; bit++) ksf_gej_double(a, KSF_ABREAST);
            ksf_ge t[2];
            for (int k = 0; k < KSF_ABREAST; k++) t[k] = s->points[KSF_VAR_POINTS * lane_set[k] + 4 * j];
            ksf_gej_add_ge_abreast(a, a, t, h, KSF_ABREAST);
            for (int k = 0; k < KSF_ABREAST && j == 0; k++) {
                ksf_gej_set_ge(&twice[k], &t[k]);
                ksf_gej_double(&twice[k], 1);
                ksf_fe_normalize(&h[k]);
                ksf_gej_cmov(&a[k], &twice[k], ksf_fe_is_zero(&h[k]));
            }
        }
        for (int k = 0; k < KSF_ABREAST; k++) s->jacobian[lane_set[k]] = a[k];
    }
    ksf_ge_set_gej_many(out, s->jacobian, n, s->slots);
}

#endif
