/* dispatch.h - the registry of implementations, best first, and the choice among them.
 *
 * Three slots: "ecmult", "sha256", "chacha20". An implementation is a const struct that begins with ksf_impl_info; adding one
 * is its file and one line in dispatch.c. Each chosen implementation passes a known-answer self-test before its first use. */
#ifndef KSF_DISPATCH_H
#define KSF_DISPATCH_H
#include "cpu.h"
#include "include/ksf.h"

typedef struct ksf_impl_info {
    const char *name;        /* an instruction set, or a library's name */
    const char *description; /* for people: what it is, lanes, radix */
    uint32_t cpu;            /* KSF_CPU_* bits it needs */
} ksf_impl_info;

typedef struct ksf_ecmult_impl ksf_ecmult_impl;
typedef struct ksf_sha256_impl ksf_sha256_impl;
typedef struct ksf_chacha20_impl ksf_chacha20_impl;

/* One choice per slot. Immutable once resolved; lives as long as the process. */
struct ksf_suite {
    const ksf_ecmult_impl *ecmult;
    const ksf_sha256_impl *sha256;
    const ksf_chacha20_impl *chacha20;
};

/* The entries of ksf_api by the same names: contracts there. */
const ksf_suite *ksf_suite_resolve(const char *spec, char *error, size_t error_len, int *fell_back);
size_t ksf_impl_list(ksf_impl_row *rows, size_t max);
int ksf_suite_impl(const ksf_suite *suite, const char *slot, ksf_impl_row *row);

#endif
