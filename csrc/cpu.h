/* cpu.h - what this CPU can run, asked once (a cpuid in a virtual machine costs microseconds). */
#ifndef KSF_CPU_H
#define KSF_CPU_H
#include <stdint.h>

enum {
    KSF_CPU_SHANI = 1u << 0,      /* SHA extensions, SSSE3, SSE4.1 */
    KSF_CPU_AVX2 = 1u << 1,       /* AVX2 and BMI2, ymm state enabled by the OS */
    KSF_CPU_AVX512 = 1u << 2,     /* AVX-512 F, BW, DQ, VL, zmm state enabled by the OS; implies KSF_CPU_AVX2 */
    KSF_CPU_AVX512IFMA = 1u << 3, /* AVX-512 IFMA, VBMI, VBMI2; implies KSF_CPU_AVX512 */
};

/* Bits above that this CPU and OS support; 0 on other machines than x86-64. */
uint32_t ksf_cpu_features(void);

#endif
