/* util.h - loads and stores, constant-time selection and comparison, wiping. */
#ifndef KSF_UTIL_H
#define KSF_UTIL_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "checkmem.h"

#define KSF_INLINE static inline __attribute__((always_inline))
#define KSF_LIKELY(x) __builtin_expect(!!(x), 1)
#define KSF_UNLIKELY(x) __builtin_expect(!!(x), 0)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only"
#endif

KSF_INLINE uint16_t ksf_load16_be(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
KSF_INLINE uint32_t ksf_load32_le(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
KSF_INLINE uint32_t ksf_load32_be(const uint8_t *p) { return __builtin_bswap32(ksf_load32_le(p)); }
KSF_INLINE uint64_t ksf_load64_le(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
KSF_INLINE uint64_t ksf_load64_be(const uint8_t *p) { return __builtin_bswap64(ksf_load64_le(p)); }
KSF_INLINE void ksf_store16_be(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
KSF_INLINE void ksf_store32_le(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
KSF_INLINE void ksf_store32_be(uint8_t *p, uint32_t v) { ksf_store32_le(p, __builtin_bswap32(v)); }
KSF_INLINE void ksf_store64_le(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }
KSF_INLINE void ksf_store64_be(uint8_t *p, uint64_t v) { ksf_store64_le(p, __builtin_bswap64(v)); }

/* A value the optimiser knows nothing about: keeps it from turning mask arithmetic back into a branch. MemorySanitizer, which takes
 * an asm's operand for a use and its result for public, watches the arithmetic without it. */
KSF_INLINE uint64_t ksf_value_barrier(uint64_t v) {
#if !defined(KSF_CHECKMEM_MSAN)
    __asm__("" : "+r"(v));
#endif
    return v;
}
/* All ones if bit (0 or 1) is 1, else 0. Constant time. */
KSF_INLINE uint64_t ksf_mask(uint64_t bit) { return 0 - ksf_value_barrier(bit); }
/* a where the mask's bits are ones, b elsewhere. Constant time. */
KSF_INLINE uint64_t ksf_select(uint64_t mask, uint64_t a, uint64_t b) { return b ^ (mask & (a ^ b)); }
/* 1 if v == 0, else 0. Constant time. */
KSF_INLINE uint64_t ksf_is_zero(uint64_t v) { return 1 ^ ((v | (0 - v)) >> 63); }
/* 1 if the n bytes are equal, else 0. Constant time in the contents. */
KSF_INLINE uint64_t ksf_equal(const uint8_t *a, const uint8_t *b, size_t n) {
    uint8_t d = 0;
    for (size_t i = 0; i < n; i++) d |= (uint8_t)(a[i] ^ b[i]);
    return ksf_is_zero(ksf_value_barrier(d));
}
/* Zeroes n bytes; the compiler may not drop it as a dead store. */
KSF_INLINE void ksf_wipe(void *p, size_t n) {
    memset(p, 0, n);
    __asm__ __volatile__("" : : "r"(p) : "memory");
}
/* dst[0..n) ^= src[0..n). */
KSF_INLINE void ksf_xor(uint8_t *dst, const uint8_t *src, size_t n) {
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t a[8], c[8];
        memcpy(a, dst + i, 64);
        memcpy(c, src + i, 64);
        for (int j = 0; j < 8; j++) a[j] ^= c[j];
        memcpy(dst + i, a, 64);
    }
    for (; i + 8 <= n; i += 8) ksf_store64_le(dst + i, ksf_load64_le(dst + i) ^ ksf_load64_le(src + i));
    for (; i < n; i++) dst[i] ^= src[i];
}
/* n rounded up to a multiple of the power of two `to`. */
KSF_INLINE size_t ksf_round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }

#endif
