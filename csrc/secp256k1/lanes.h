/* lanes.h - the vocabulary that every tier defines: field elements in lanes, and how lanes select from tables.
 *
 * A tier (lanes_portable.h, lanes_avx2.h, lanes_avx512ifma.h) holds KSF_LANES independent elements of GF(p) in one ksf_fe and
 * defines what is declared here; the bodies (fe_impl.h and those above it) are written once over it. A tier defines, before it
 * includes this file:
 *
 *     KSF_LANES         elements in a ksf_fe: 1, 4 or 8
 *     KSF_GROUP_FES     ksf_fe's that one table selection fills: a group is KSF_GROUP_LANES = KSF_LANES * KSF_GROUP_FES lanes
 *     KSF_CHAINS        prefix products that run side by side in a shared inversion (hides the latency of a product)
 *     KSF_ABREAST       additions or doublings that run side by side, 1 or 2
 *     KSF_BLEND_GROUPS  groups that one call of ksf_select_shared fills best
 *     KSF_ENTRY_BYTES   of one point in a table
 *     ksf_lane_mask     a truth value per lane
 *
 * Bounds. An element's *magnitude* m says |value| <= m * (2^256 + 2^245); its *spread* s says that no limb is above s times the
 * tier's unit. Both are static: they follow from the operations, never from the values. Spread 1 is a *factor*: it may be
 * multiplied. Anything else is an *addend*. What each operation needs and gives:
 *
 *     operation                  needs                                             gives (m, s)
 *     mul(a, b)                  a.s = 1, a.m <= 7; b.s <= 7, b.m <= 7 *           1, 1
 *     sqr(a)                     a.s = 1, a.m <= 7                                 1, 1
 *     mul_sub(a, b, c)           as mul; c.m <= 3                                  1, c.s + 10 *
 *     sqr_sub(a, c)              as sqr; c.m <= 3                                  1, c.s + 10 *
 *     add(a, b)                                                                    a.m + b.m, a.s + b.s
 *     sub(a, b)                  a.m <= 2, b.m <= 3                                a.m + 5, a.s + 4 *
 *     sub_carried(a, b)          a.m <= 2, b.m <= 3                                a.m + 5, 1
 *     half(a)                    a.m <= 3, no limb negative                        2, 1
 *     carry(a)                   a.m = 1                                           3, 1
 *     normalize(a)               a.m <= 7                                          1, 1, and 0 <= value < p
 *
 * Where the star stands tiers differ, and a body must be right for all: with 52-bit multipliers a factor is carried to the last
 * bit, so there sub carries (s = 1) and a product that is only ever an addend is not carried (s = c.s + 10, signed limbs);
 * elsewhere sub leaves the carries (s = a.s + 4, still one factor of a product) and every product is carried (s = 1).
 * No spread may pass 1000. -DKSF_VERIFY takes both numbers along with every element, checks them at every operation, and checks
 * every limb of every lane against them.
 *
 * Everything here is constant time in the elements, digits and masks; which tables are used, and how many, is public.
 * Results may alias operands. */
#ifndef KSF_LANES_H
#define KSF_LANES_H
#include "../checkmem.h"
#include "../util.h"
#include "curve.h"

#define KSF_GROUP_LANES (KSF_LANES * KSF_GROUP_FES)

#ifdef KSF_VERIFY
#include <stdio.h>
#include <stdlib.h>
#define KSF_CHECK(condition)                                                              \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: bound broken: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)
#define KSF_FE_TAGS int magnitude, spread;
#define KSF_FE_SET(r, m, s) ((r)->magnitude = (m), (r)->spread = (s), ksf_fe_verify(r))
#else
#define KSF_CHECK(condition) ((void)0)
#define KSF_FE_TAGS
#define KSF_FE_SET(r, m, s) ((void)0)
#endif

typedef struct ksf_fe ksf_fe;
/* An affine point in every lane; never infinity. Coordinates are addends unless a contract says factors. */
typedef struct ksf_ge ksf_ge;
/* Digits of a group's lanes, or of one ksf_fe's lanes, made ready for selection. */
typedef struct ksf_digits ksf_digits;

/* -- elements ------------------------------------------------------------------------------------------------------ */
/* r = the same value, four words little-endian, below 2^256, in every lane. (1, 1) */
KSF_INLINE void ksf_fe_set_all(ksf_fe *r, const uint64_t words[4]);
/* One lane of r = words, below 2^256. The other lanes stay; r must be (1, 1). */
KSF_INLINE void ksf_fe_set_lane(ksf_fe *r, unsigned lane, const uint64_t words[4]);
/* words = one lane of a normalized element. */
KSF_INLINE void ksf_fe_get_lane(uint64_t words[4], const ksf_fe *a, unsigned lane);
/* r = a with lane i taken from lane i ^ distance (1, 2 or 4, below KSF_LANES). */
KSF_INLINE void ksf_fe_swap_lanes(ksf_fe *r, const ksf_fe *a, unsigned distance);

KSF_INLINE void ksf_fe_mul(ksf_fe *r, const ksf_fe *a, const ksf_fe *b);
KSF_INLINE void ksf_fe_sqr(ksf_fe *r, const ksf_fe *a);
/* r = a*b - c */
KSF_INLINE void ksf_fe_mul_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b, const ksf_fe *c);
/* r = a^2 - c */
KSF_INLINE void ksf_fe_sqr_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *c);
/* r = a*b and d = s - t, interleaved where the tier gains by it; d may not alias a or b. */
KSF_INLINE void ksf_fe_mul_and_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b, ksf_fe *d, const ksf_fe *s, const ksf_fe *t);
KSF_INLINE void ksf_fe_add(ksf_fe *r, const ksf_fe *a, const ksf_fe *b);
KSF_INLINE void ksf_fe_sub(ksf_fe *r, const ksf_fe *a, const ksf_fe *b);
KSF_INLINE void ksf_fe_sub_carried(ksf_fe *r, const ksf_fe *a, const ksf_fe *b);
/* r = a/2 mod p */
KSF_INLINE void ksf_fe_half(ksf_fe *r, const ksf_fe *a);
/* An addend becomes a factor. */
KSF_INLINE void ksf_fe_carry(ksf_fe *r);
/* The one representative in [0, p). */
KSF_INLINE void ksf_fe_normalize(ksf_fe *r);

/* -- masks --------------------------------------------------------------------------------------------------------- */
/* Lanes where a normalized a is zero; lanes where it is odd. */
KSF_INLINE ksf_lane_mask ksf_fe_is_zero(const ksf_fe *a);
KSF_INLINE ksf_lane_mask ksf_fe_is_odd(const ksf_fe *a);
/* r = a in the lanes of the mask. Bounds: the larger of both. */
KSF_INLINE void ksf_fe_cmov(ksf_fe *r, const ksf_fe *a, ksf_lane_mask mask);
KSF_INLINE ksf_lane_mask ksf_lane_mask_xor(ksf_lane_mask a, ksf_lane_mask b);
/* bits: bit i for lane i. */
KSF_INLINE ksf_lane_mask ksf_lane_mask_from_bits(unsigned bits);
KSF_INLINE unsigned ksf_lane_mask_bits(ksf_lane_mask mask);

/* -- tables -------------------------------------------------------------------------------------------------------- */
/* A window's sub-table holds the affine points (2i+1) * 2^(w*j) * B, i < 2^(w-1), j the window, in the tier's own order,
 * KSF_ENTRY_BYTES each. A table is its sub-tables one behind the other, window 0 first. */
/* subtables[lane]'s entry i = that lane of a point with normalized coordinates, for lanes below `lanes`. Public. */
KSF_INLINE void ksf_subtable_store(uint8_t *const *subtables, unsigned w, unsigned i, const ksf_ge *point, unsigned lanes);

/* For k < groups (1 to KSF_BLEND_GROUPS): out[k][0..KSF_GROUP_FES) with a stride of `stride` points = each lane's digit times B.
 * Every lane uses this sub-table. digits[k]: KSF_GROUP_LANES windows of w bits, least significant lane first; window v is the
 * odd digit 2v - (2^w - 1). x: (1, 1); y: (2, 2). */
KSF_INLINE void ksf_select_shared(ksf_ge *const *out, size_t stride, const uint8_t *subtable, unsigned w, const uint8_t *const *digits,
                                  unsigned groups);
/* One group whose lanes use n sub-tables: lane i uses subtables[l] where bit i of lanes[l] is set. Costs n selections. */
KSF_INLINE void ksf_select_mixed(ksf_ge *out, size_t stride, const uint8_t *const *subtables, const uint8_t *lanes, unsigned n, unsigned w,
                                 const uint8_t *digits);

/* The digits (w <= 6) of one ksf_fe's lanes, negated in the lanes of `negate`. */
KSF_INLINE void ksf_digits_load(ksf_digits *r, const uint8_t *digits, unsigned w, ksf_lane_mask negate);
/* Lanes whose digit is +-(2i+1). */
KSF_INLINE ksf_lane_mask ksf_digits_equal(const ksf_digits *d, unsigned i);
/* r = -r in the lanes whose digit is negative. Needs r.m = 1; gives (2, r.s + 1). */
KSF_INLINE void ksf_fe_negate_by(ksf_fe *r, const ksf_digits *d);

#ifdef KSF_VERIFY
/* Checks every limb of every lane against the element's magnitude and spread. */
static void ksf_fe_verify(const ksf_fe *a);
#endif

#endif
