/* ecmult_avx2.c - the lanes of lanes_avx2.h as an implementation of the curve slot. */
#if defined(__x86_64__)
#include <immintrin.h>
#include "../target.h"
#include "../util.h"
#include "../sha256/sha256.h"
#include "ecmult.h"

KSF_TARGET_BEGIN_AVX2
#define KSF_RUN_MOST 3
#define KSF_PASS_GROUPS 16
#define KSF_PASS_FES 16
#include "lanes_avx2.h"
#include "peel_impl.h"
KSF_TARGET_END

const ksf_ecmult_impl ksf_ecmult_avx2 = {
    .info = {"avx2", "AVX2, four lanes of nine 29-bit limbs", KSF_CPU_AVX2},
    .lanes = KSF_LANES,
    .block = 256,
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
