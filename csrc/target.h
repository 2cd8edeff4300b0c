/* target.h - an instruction set for one region of one file, under flat compiler flags.
 *
 *     #include <immintrin.h>          always before the region: clang refuses intrinsics headers inside it
 *     KSF_TARGET_BEGIN_AVX2
 *     ... every function that uses the set, helpers included ...
 *     KSF_TARGET_END
 *
 * gcc takes the set (and the optimisation level) by pragma; clang ignores those pragmas and takes an attribute on every
 * function of the region. `static inline` helpers from util.h defined outside the region are inlined into it by both. */
#ifndef KSF_TARGET_H
#define KSF_TARGET_H

#define KSF_DO_PRAGMA_(x) _Pragma(#x)
#if defined(__clang__)
#define KSF_TARGET_BEGIN_(t, level) KSF_DO_PRAGMA_(clang attribute push(__attribute__((target(t))), apply_to = function))
#define KSF_TARGET_END _Pragma("clang attribute pop")
#define KSF_OPTIMIZE_BEGIN
#define KSF_OPTIMIZE_END
#elif defined(__GNUC__)
/* In this order; gcc 12 drops the level where it stands behind the target, and at -O0 the target where it stands behind the
 * level: there the level is left out, for builds that are only debugged. With 16 registers the field code is 2 % faster where
 * expressions keep their place in the source (no-tree-ter); with 32 it is 2 % slower. */
#define KSF_FEW_REGISTERS "O3,unroll-loops,no-tree-ter"
#define KSF_MANY_REGISTERS "O3,unroll-loops"
#if defined(__OPTIMIZE__)
#define KSF_TARGET_BEGIN_(t, level) _Pragma("GCC push_options") KSF_DO_PRAGMA_(GCC optimize(level)) KSF_DO_PRAGMA_(GCC target(t))
#else
#define KSF_TARGET_BEGIN_(t, level) _Pragma("GCC push_options") KSF_DO_PRAGMA_(GCC target(t))
#endif
#define KSF_TARGET_END _Pragma("GCC pop_options")
/* For portable files: -O3 whatever the user's flags are (gcc 12 at -O2 does not unroll the field code). */
#define KSF_OPTIMIZE_BEGIN_(level) _Pragma("GCC push_options") KSF_DO_PRAGMA_(GCC optimize(level))
#define KSF_OPTIMIZE_BEGIN KSF_OPTIMIZE_BEGIN_(KSF_FEW_REGISTERS)
#define KSF_OPTIMIZE_END _Pragma("GCC pop_options")
#else
#error "keysend_fast builds with gcc or clang"
#endif

#define KSF_TARGET_BEGIN_SHANI KSF_TARGET_BEGIN_("sha,sse4.1,ssse3", KSF_FEW_REGISTERS)
#define KSF_TARGET_BEGIN_AVX2 KSF_TARGET_BEGIN_("avx2,bmi2", KSF_FEW_REGISTERS)
#define KSF_TARGET_BEGIN_AVX512 KSF_TARGET_BEGIN_("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi2", KSF_MANY_REGISTERS)
#define KSF_TARGET_BEGIN_AVX512IFMA \
    KSF_TARGET_BEGIN_("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,avx512vbmi2,avx2,bmi2", KSF_MANY_REGISTERS)

#endif
