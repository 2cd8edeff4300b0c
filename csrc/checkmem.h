/* checkmem.h - what is secret, said to the tool that watches for branches and addresses that depend on it.
 *
 * KSF_SECRET(p, n)      the n bytes at p are secret from here on
 * KSF_DECLASSIFY(p, n)  the n bytes at p become public here; the comment beside the line says why they may
 * KSF_CHECKMEM_RUNNING() whether a tool is watching (tests/c/ct_check refuses to run otherwise)
 *
 * Secret is what the tools call undefined memory: valgrind's memcheck (-DKSF_VALGRIND) or clang's MemorySanitizer.
 * In other builds the three cost nothing. */
#ifndef KSF_CHECKMEM_H
#define KSF_CHECKMEM_H

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define KSF_CHECKMEM_MSAN 1
#endif
#endif

#if defined(KSF_CHECKMEM_MSAN)
#include <sanitizer/msan_interface.h>
#define KSF_SECRET(p, n) __msan_allocated_memory((p), (n))
#define KSF_DECLASSIFY(p, n) __msan_unpoison((p), (n))
#define KSF_CHECKMEM_RUNNING() 1
#elif defined(KSF_VALGRIND)
#include <valgrind/memcheck.h>
#define KSF_SECRET(p, n) ((void)VALGRIND_MAKE_MEM_UNDEFINED((p), (n)))
#define KSF_DECLASSIFY(p, n) ((void)VALGRIND_MAKE_MEM_DEFINED((p), (n)))
#define KSF_CHECKMEM_RUNNING() (RUNNING_ON_VALGRIND != 0)
#else
#define KSF_SECRET(p, n) ((void)0)
#define KSF_DECLASSIFY(p, n) ((void)0)
#define KSF_CHECKMEM_RUNNING() 0
#endif

#endif
