/* scalar_bytes.h - scalars as 32 big-endian bytes: comparison with the group order. Constant time. */
#ifndef KSF_SCALAR_BYTES_H
#define KSF_SCALAR_BYTES_H
#include "../util.h"

/* r = a - n; returns the borrow: 1 if a < n. r may be a. (SEC 2, secp256k1: n) */
static inline uint32_t ksf_scalar_sub_order(uint8_t r[32], const uint8_t a[32]) {
    static const uint8_t ORDER[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
                                      0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
    uint32_t borrow = 0;
    for (int i = 31; i >= 0; i--) {
        const uint32_t d = (uint32_t)a[i] - ORDER[i] - borrow;
        r[i] = (uint8_t)d;
        borrow = d >> 31;
    }
    return borrow;
}

/* 1 if the scalar is in [1, n-1], else 0. */
static inline int ksf_scalar_valid(const uint8_t scalar[32]) {
    uint8_t t[32], any = 0;
    const uint32_t below = ksf_scalar_sub_order(t, scalar);
    for (int i = 0; i < 32; i++) any |= scalar[i];
    ksf_wipe(t, sizeof t);
    return (int)(below & (uint32_t)(1 ^ ksf_is_zero(any)));
}

#endif
