/* curve.h - secp256k1's constants (SEC 2, section 2.4.1) as 64-bit words, least significant first, and the shapes of the combs.
 *
 * tests/c/exhaustive.c puts another curve over the same field here (-DKSF_SMALL_CURVE): y^2 = x^3 + b with a subgroup so small
 * that every scalar can be tried. What is bound to the real group order (products mod n, the endomorphism's lattice) is not
 * reached there. */
#ifndef KSF_CURVE_H
#define KSF_CURVE_H
#include <stdint.h>

/* p = 2^256 - KSF_P_COMPLEMENT */
#define KSF_P_COMPLEMENT 0x1000003D1ULL /* check-magic: 0x1000003D1 == 2**256 - p */

#if defined(KSF_SMALL_CURVE)
#include KSF_SMALL_CURVE
#else

#define KSF_CURVE_B 7
#define KSF_CURVE_BITS 256            /* of n */
#define KSF_N0 0xBFD25E8CD0364141ULL  /* check-magic: 0xBFD25E8CD0364141 == n % 2**64 */
#define KSF_N1 0xBAAEDCE6AF48A03BULL  /* check-magic: 0xBAAEDCE6AF48A03B == n // 2**64 % 2**64 */
#define KSF_N2 0xFFFFFFFFFFFFFFFEULL  /* check-magic: 0xFFFFFFFFFFFFFFFE == n // 2**128 % 2**64 */
#define KSF_N3 0xFFFFFFFFFFFFFFFFULL  /* check-magic: 0xFFFFFFFFFFFFFFFF == n // 2**192 */

/* 2^256 mod n, three words */
#define KSF_NC0 0x402DA1732FC9BEBFULL /* check-magic: 0x402DA1732FC9BEBF == (2**256 - n) % 2**64 */
#define KSF_NC1 0x4551231950B75FC4ULL /* check-magic: 0x4551231950B75FC4 == (2**256 - n) // 2**64 % 2**64 */
#define KSF_NC2 1ULL                  /* check-magic: 1 == (2**256 - n) // 2**128 */

/* check-magic: 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798 == gx */
#define KSF_GX \
    { 0x59F2815B16F81798ULL, 0x029BFCDB2DCE28D9ULL, 0x55A06295CE870B07ULL, 0x79BE667EF9DCBBACULL }
/* check-magic: 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8 == gy */
#define KSF_GY \
    { 0x9C47D08FFB10D4B8ULL, 0xFD17B448A6855419ULL, 0x5DA4FBFC0E1108A8ULL, 0x483ADA7726A3C465ULL }

/* A comb of window w writes a scalar as nw odd digits of w bits; the sum's last addition joins the digits below `split` with
 * the others. No addition is exceptional if w*(nw-1) < bits of n <= w*nw and bit w*split of n is 0 (docs/batched-ecdh.md). */
#define KSF_COMB_WINDOWS(X)                                   \
    X(5, 52, 24) /* check-magic: 0 == n // 2**(5 * 24) % 2 */ \
    X(6, 43, 21) /* check-magic: 0 == n // 2**(6 * 21) % 2 */ \
    X(7, 37, 18) /* check-magic: 0 == n // 2**(7 * 18) % 2 */ \
    X(8, 32, 16) /* check-magic: 0 == n // 2**(8 * 16) % 2 */
#endif

#endif
