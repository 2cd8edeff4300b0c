/* ecmult_portable.c - the lanes of lanes_portable.h as an implementation of the curve slot. */
#include "../target.h"
#include "../util.h"
#include "../sha256/sha256.h"
#include "ecmult.h"

KSF_OPTIMIZE_BEGIN
#define KSF_RUN_MOST 3
#define KSF_PASS_GROUPS 128
#define KSF_PASS_FES 64
#include "lanes_portable.h"
#include "peel_impl.h"
KSF_OPTIMIZE_END

const ksf_ecmult_impl ksf_ecmult_portable = {
    .info = {"portable", "plain C, one lane of five 52-bit limbs", 0},
    .lanes = KSF_LANES,
    .block = 64,
    .peel_block = 128,
    .window_min = KSF_WINDOW_MIN,
    .window_default = 6,
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
