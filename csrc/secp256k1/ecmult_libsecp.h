/* ecmult_libsecp.h - handing a libsecp256k1 over to its slot. */
#ifndef KSF_ECMULT_LIBSECP_H
#define KSF_ECMULT_LIBSECP_H
#include "../include/ksf.h"

/* Keeps the functions (copied) and the context (referenced). 0, or -1 where one is missing. Before any use of the slot, once;
 * the dispatcher's self-test decides whether they compute what they should. */
int ksf_libsecp256k1_set(const ksf_libsecp256k1 *functions);

#endif
