/* _pool.h - runs the blocks of a batch on `threads` threads, the caller being one of them. Header-only.
 *
 * Threads live for one call: a start and join cost 20 to 30 us, a block of 128 onions about 1,000, and a pool that outlives
 * the call would be missing, with its locks held, in a forked child. */
#ifndef KSF_POOL_H
#define KSF_POOL_H
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "_arena.h"

#define KSF_POOL_MAX 64

/* items begin..end-1 of a batch, with scratch of its own */
typedef void (*ksf_block_fn)(const void *batch, size_t begin, size_t end, void *scratch);
/* the caller's hook between blocks: non-zero stops the batch */
typedef int (*ksf_poll_fn)(void *arg);

typedef struct {
    ksf_block_fn fn;
    const void *batch;
    size_t n, block, scratch_bytes;
    atomic_size_t next; /* first item that nobody has taken */
    atomic_int stop;
} ksf_work;

static inline uint64_t ksf_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ksf_take_block(ksf_work *w, void *scratch) {
    if (atomic_load_explicit(&w->stop, memory_order_relaxed)) return 0;
    const size_t begin = atomic_fetch_add_explicit(&w->next, w->block, memory_order_relaxed);
    if (begin >= w->n) return 0;
    w->fn(w->batch, begin, begin + w->block < w->n ? begin + w->block : w->n, scratch);
    return 1;
}

static void *ksf_worker(void *arg) {
    ksf_work *w = (ksf_work *)arg;
    size_t cap;
    void *scratch = ksf_arena_new(w->scratch_bytes, KSF_SCRATCH, &cap);
    if (!scratch) return NULL; /* the other threads, the caller among them, do the work */
    while (ksf_take_block(w, scratch)) {}
    ksf_arena_free(scratch, cap, KSF_SCRATCH);
    return NULL;
}

/* 0, or what poll returned, or -1 without memory for the caller's own scratch (nothing was run then). On return no thread of
 * ours is running. Where threads cannot be started the caller does all. Workers block every signal, so that Python's handlers
 * run on Python's threads. */
static int ksf_run_blocks(ksf_block_fn fn, const void *batch, size_t n, size_t block, size_t scratch_bytes, int threads, ksf_poll_fn poll,
                          void *arg) {
    pthread_t id[KSF_POOL_MAX];
    ksf_work w = {fn, batch, n, block, scratch_bytes, 0, 0};
    int started = 0, stopped = 0;
    size_t cap;
    void *scratch = ksf_arena_new(scratch_bytes, KSF_SCRATCH, &cap);
    if (!scratch) return -1;
    if (threads > KSF_POOL_MAX) threads = KSF_POOL_MAX;
    if ((size_t)threads > (n + block - 1) / block) threads = (int)((n + block - 1) / block);
    if (threads > 1) {
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        while (started < threads - 1 && pthread_create(&id[started], NULL, ksf_worker, &w) == 0) started++;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    while (ksf_take_block(&w, scratch)) {
        if (poll && (stopped = poll(arg)) != 0) {
            atomic_store_explicit(&w.stop, 1, memory_order_relaxed);
            break;
        }
    }
    for (int i = 0; i < started; i++) pthread_join(id[i], NULL);
    ksf_arena_free(scratch, cap, KSF_SCRATCH);
    return stopped;
}
#endif
