/* ecmult_avx512ifma.c - the lanes of lanes_avx512ifma.h as an implementation of the curve slot. */
#if defined(__x86_64__)
#include <immintrin.h>
#include "../target.h"
#include "../util.h"
#include "../sha256/sha256.h"
#include "ecmult.h"

KSF_TARGET_BEGIN_AVX512IFMA
#define KSF_RUN_MOST 5
#define KSF_PASS_GROUPS 16
#define KSF_PASS_FES 8
#include "lanes_avx512ifma.h"
#include "peel_impl.h"
KSF_TARGET_END

const ksf_ecmult_impl ksf_ecmult_avx512ifma = {
    .info = {"avx512ifma", "AVX-512 IFMA, eight lanes of five 52-bit limbs", KSF_CPU_AVX512IFMA},
    .lanes = KSF_LANES,
    .block = 512,
    .peel_block = 128,
    .window_min = KSF_WINDOW_MIN,
    .window_default = 7,
    .window_max = KSF_WINDOW_MAX,
    .init = ksf_ecmult_init,
    .scratch_bytes = ksf_ecmult_scratch_bytes,
    .load_keys = ksf_keys_load,
    .table_bytes = ksf_table_bytes,
    .table_scratch_bytes = ksf_table_scratch_bytes,
    .table_build = ksf_table_build,
    .key_chain = ksf_ecmult_key_chain,
    .point_mul = ksf_ecmult_point_mul,
    .peel_shared = ksf_ecmult_peel_shared,
    .peel_next = ksf_ecmult_peel_next,
};
#endif
