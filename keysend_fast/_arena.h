/* _arena.h - memory of batches, header-only.
 *
 * Blocks of a megabyte and more are 2 MiB-aligned mappings that ask for huge pages: first-touch faults of 4 KiB pages cost
 * 0.7 to 0.9 us an onion in a virtual machine, huge ones 0.08. Freed blocks are kept in a few slots for the next batch (a
 * secret one has been wiped), so that a sender who drops each batch before the next pays no fault at all. The slots are
 * atomic exchanges: safe in threads and in a forked child. */
#ifndef KSF_ARENA_H
#define KSF_ARENA_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define KSF_HUGE ((size_t)2 << 20)
#define KSF_KEEP_MAX ((size_t)64 << 20) /* larger blocks go back to the system */
enum { KSF_PUBLIC = 0, KSF_SECRETS = 1, KSF_SCRATCH = 2, KSF_KINDS = 3, KSF_SPARES = 4 };

static _Atomic(void *) ksf_arena_spare[KSF_KINDS][KSF_SPARES];

static inline void ksf_arena_unmap(void *p, size_t cap) { munmap(p, cap); }

/* n bytes, 64-byte aligned at least; *cap: what to hand back on free. NULL without memory. Secret and scratch blocks stay
 * out of core dumps where they are mappings. Contents: anything. */
static void *ksf_arena_new(size_t n, int kind, size_t *cap) {
    *cap = n ? (n + 63) & ~(size_t)63 : 64;
    if (n < KSF_HUGE / 2) return aligned_alloc(64, *cap);
    const size_t len = *cap = (n + KSF_HUGE - 1) & ~(KSF_HUGE - 1);
    for (int i = 0; i < KSF_SPARES; i++) {
        char *p = (char *)atomic_exchange(&ksf_arena_spare[kind][i], NULL);
        if (!p) continue;
        const size_t had = *(size_t *)p;
        if (had >= len && had <= 4 * len) {
            *cap = had;
            return p;
        }
        ksf_arena_unmap(p, had);
    }
    char *b = (char *)mmap(NULL, len + KSF_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b == (char *)MAP_FAILED) return NULL;
    char *p = (char *)(((uintptr_t)b + KSF_HUGE - 1) & ~(uintptr_t)(KSF_HUGE - 1));
    if (p > b) munmap(b, (size_t)(p - b));
    if (b + KSF_HUGE > p) munmap(p + len, (size_t)(b + KSF_HUGE - p));
#ifdef MADV_HUGEPAGE
    madvise(p, len, MADV_HUGEPAGE);
#endif
#ifdef MADV_DONTDUMP
    if (kind != KSF_PUBLIC) madvise(p, len, MADV_DONTDUMP);
#endif
    return p;
}

static void ksf_arena_free(void *p, size_t cap, int kind) {
    if (cap < KSF_HUGE) { /* mappings are multiples of KSF_HUGE, so this one was not */
        free(p);
        return;
    }
    if (cap <= KSF_KEEP_MAX) {
        *(size_t *)p = cap;
        for (int i = 0; i < KSF_SPARES; i++) {
            void *none = NULL;
            if (atomic_compare_exchange_strong(&ksf_arena_spare[kind][i], &none, p)) return;
        }
    }
    ksf_arena_unmap(p, cap);
}
#endif
