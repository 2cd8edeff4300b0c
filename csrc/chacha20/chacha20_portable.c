/* chacha20_portable.c - four blocks a vector in the compiler's generic vectors: SSE2 on x86-64, NEON on AArch64. */
#include "chacha20.h"
#include "../target.h"
#include "../util.h"

KSF_OPTIMIZE_BEGIN

#include "../v32_portable.h"
#include "chacha20_impl.h"

KSF_OPTIMIZE_END

const ksf_chacha20_impl ksf_chacha20_portable = {
    {"portable", "plain C, four blocks in generic vectors", 0},
    KSF_V32_LANES,
    ksf_cc_stream_many,
};
