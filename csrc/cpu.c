#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stddef.h>

static uint64_t ksf_xgetbv0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static uint32_t ksf_cpu_detect(void) {
    unsigned a, b, c, d, found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const unsigned ssse3 = c >> 9 & 1, sse41 = c >> 19 & 1, osxsave = c >> 27 & 1, avx = c >> 28 & 1;
    const uint64_t xcr0 = osxsave ? ksf_xgetbv0() : 0;
    /* XCR0: bits 1, 2 are xmm and ymm state; 5, 6, 7 opmask, zmm 0-15 upper halves, zmm 16-31 */
    const unsigned ymm = avx && (xcr0 & 0x06) == 0x06, zmm = (xcr0 & 0xe6) == 0xe6;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if (ssse3 && sse41 && (b >> 29 & 1)) found |= KSF_CPU_SHANI;
    if (ymm && (b >> 5 & 1) && (b >> 8 & 1)) found |= KSF_CPU_AVX2;
    if ((found & KSF_CPU_AVX2) && zmm && (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1)) found |= KSF_CPU_AVX512;
    if ((found & KSF_CPU_AVX512) && (b >> 21 & 1) && (c >> 1 & 1) && (c >> 6 & 1)) found |= KSF_CPU_AVX512IFMA;
    return found;
}

static uint32_t ksf_cpu_found;
/* Runs when the library is loaded, before any thread can ask. */
__attribute__((constructor)) static void ksf_cpu_init(void) { ksf_cpu_found = ksf_cpu_detect(); }
uint32_t ksf_cpu_features(void) { return ksf_cpu_found; }
#else
uint32_t ksf_cpu_features(void) { return 0; }
#endif
