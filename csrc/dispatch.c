#include "dispatch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "chacha20/chacha20.h"
#include "secp256k1/ecmult.h"
#include "selftest.h"
#include "sha256/sha256.h"
#include "util.h"

/* The registry: best first per slot. An implementation is its file and its line here. */
static const ksf_ecmult_impl *const ECMULT[] = {
#if defined(__x86_64__)
    &ksf_ecmult_avx512ifma,
    &ksf_ecmult_avx2,
#endif
    &ksf_ecmult_portable,
    &ksf_ecmult_libsecp256k1,
};
static const ksf_sha256_impl *const SHA256[] = {
#if defined(__x86_64__)
    &ksf_sha256_shani,
    &ksf_sha256_avx512,
    &ksf_sha256_avx2,
#endif
    &ksf_sha256_portable,
};
static const ksf_chacha20_impl *const CHACHA20[] = {
#if defined(__x86_64__)
    &ksf_chacha20_avx512,
    &ksf_chacha20_avx2,
#endif
    &ksf_chacha20_portable,
};

enum { SLOT_ECMULT, SLOT_SHA256, SLOT_CHACHA20, SLOTS };
#define N_ECMULT (sizeof ECMULT / sizeof *ECMULT)
#define N_SHA256 (sizeof SHA256 / sizeof *SHA256)
#define N_CHACHA20 (sizeof CHACHA20 / sizeof *CHACHA20)
#define MAX_IMPLS 8
enum { UNTESTED = 0, PASSED = 1, FAILED = 2, ABSENT = 3 };
_Static_assert(N_ECMULT <= MAX_IMPLS && N_SHA256 <= MAX_IMPLS && N_CHACHA20 <= MAX_IMPLS, "state has a place for each");

static const char *const SLOT_NAME[SLOTS] = {"ecmult", "sha256", "chacha20"};
static const size_t SLOT_COUNT[SLOTS] = {N_ECMULT, N_SHA256, N_CHACHA20};

/* The dispatch choice: the only mutable state of the core, guarded by the lock; suites are const once `made`. */
static struct {
    pthread_mutex_t lock;
    uint8_t state[SLOTS][MAX_IMPLS];
    ksf_suite suites[N_ECMULT][N_SHA256][N_CHACHA20];
    uint8_t made[N_ECMULT][N_SHA256][N_CHACHA20];
    int fastest_sha256; /* index + 1, 0 before it was measured */
} dispatch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const ksf_impl_info *info_of(int slot, size_t i) {
    return slot == SLOT_ECMULT ? &ECMULT[i]->info : slot == SLOT_SHA256 ? &SHA256[i]->info : &CHACHA20[i]->info;
}

static int cpu_has(const ksf_impl_info *info) { return (info->cpu & ~ksf_cpu_features()) == 0; }

/* Runs what must run before the first use, once, and remembers the outcome. */
static int state_of(int slot, size_t i) {
    uint8_t *state = &dispatch.state[slot][i];
    if (*state != UNTESTED) return *state;
    if (slot == SLOT_SHA256)
        *state = ksf_selftest_sha256(SHA256[i]) ? PASSED : FAILED;
    else if (slot == SLOT_CHACHA20)
        *state = ksf_selftest_chacha20(CHACHA20[i]) ? PASSED : FAILED;
    else if (ECMULT[i]->init() != 0)
        return ABSENT; /* not remembered: libsecp256k1 may be handed over later */
    else
        *state = ksf_selftest_ecmult(ECMULT[i], &ksf_sha256_portable) ? PASSED : FAILED;
    return *state;
}

static int choose(int slot, const char *name, size_t name_len, char *error, size_t error_len, int *fell_back) {
    for (size_t i = 0; i < SLOT_COUNT[slot]; i++) {
        const ksf_impl_info *info = info_of(slot, i);
        if (name && (strlen(info->name) != name_len || memcmp(info->name, name, name_len) != 0)) continue;
        const int state = cpu_has(info) ? state_of(slot, i) : ABSENT;
        if (state == PASSED) return (int)i;
        if (name) {
            const char *why = !cpu_has(info)    ? "needs instructions that this CPU or operating system lacks"
                              : state == ABSENT ? "is not available in this process"
                                                : "failed its self-test";
            snprintf(error, error_len, "%s implementation '%s' %s", SLOT_NAME[slot], info->name, why);
            return -1;
        }
        if (state == FAILED) {
            *fell_back = 1;
            snprintf(error, error_len, "%s implementation '%s' failed its self-test and is not used", SLOT_NAME[slot], info->name);
        }
    }
    if (name)
        snprintf(error, error_len, "there is no %s implementation '%.*s'", SLOT_NAME[slot], (int)name_len, name);
    else
        snprintf(error, error_len, "no %s implementation can run here", SLOT_NAME[slot]);
    return -1;
}

/* Seconds that sixteen streams of sixteen blocks take, the shape of Sphinx's HMACs: the least of a few runs. */
static double sha256_seconds(const ksf_sha256_impl *impl) {
    enum { STREAMS = 16, BLOCKS = 16, RUNS = 12 };
    static const uint8_t data[BLOCKS * KSF_SHA256_BLOCK];
    uint32_t states[STREAMS][8];
    const uint8_t *blocks[STREAMS];
    double least = 1;
    for (size_t i = 0; i < STREAMS; i++) {
        memcpy(states[i], ksf_sha256_iv, sizeof ksf_sha256_iv);
        blocks[i] = data;
    }
    for (int run = 0; run < RUNS; run++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        impl->compress_many(states, blocks, BLOCKS, STREAMS);
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        if (seconds < least) least = seconds;
    }
    return least;
}

/* Which instructions hash fastest differs between makers: sixteen AVX-512 lanes need 0.56 of SHA-NI's time on a Sapphire
 * Rapids and 1.1 of it on a Zen 4. So the unforced choice between vectors and SHA-NI is measured, once, in half a millisecond. */
static int choose_sha256(char *error, size_t error_len, int *fell_back) {
    double least = 0;
    if (dispatch.fastest_sha256) return dispatch.fastest_sha256 - 1;
    int found = choose(SLOT_SHA256, NULL, 0, error, error_len, fell_back);
    for (int i = found; i >= 0 && i < (int)N_SHA256; i++) {
        const ksf_impl_info *info = info_of(SLOT_SHA256, (size_t)i);
        if (!cpu_has(info)) continue;
        if (state_of(SLOT_SHA256, (size_t)i) != PASSED) { /* it might have been the fastest */
            *fell_back = 1;
            snprintf(error, error_len, "%s implementation '%s' failed its self-test and is not used", SLOT_NAME[SLOT_SHA256], info->name);
            continue;
        }
        const double seconds = sha256_seconds(SHA256[i]);
        if (i == found || seconds < least) {
            least = seconds;
            found = i;
        }
    }
    dispatch.fastest_sha256 = found + 1;
    return found;
}

/* Splits "a,slot=b" into a name per slot; a bare name is the elliptic-curve slot's. */
static int parse_spec(const char *spec, const char *name[SLOTS], size_t len[SLOTS], char *error, size_t error_len) {
    for (const char *at = spec ? spec : ""; *at;) {
        const size_t token = strcspn(at, ",");
        const char *eq = memchr(at, '=', token);
        int slot = SLOT_ECMULT;
        if (eq) {
            for (slot = 0; slot < SLOTS; slot++)
                if (strlen(SLOT_NAME[slot]) == (size_t)(eq - at) && memcmp(SLOT_NAME[slot], at, (size_t)(eq - at)) == 0) break;
        }
        const char *value = eq ? eq + 1 : at;
        if (slot == SLOTS || value == at + token || name[slot]) {
            snprintf(error, error_len, "'%.*s' is not a name or slot=name (slots: ecmult, sha256, chacha20; each once)", (int)token, at);
            return -1;
        }
        name[slot] = value;
        len[slot] = (size_t)(at + token - value);
        at += token;
        if (*at == ',') at++;
    }
    return 0;
}

const ksf_suite *ksf_suite_resolve(const char *spec, char *error, size_t error_len, int *fell_back) {
    const char *name[SLOTS] = {NULL};
    size_t len[SLOTS] = {0};
    int chosen[SLOTS];
    *fell_back = 0;
    if (error_len) error[0] = 0;
    if (parse_spec(spec, name, len, error, error_len) != 0) return NULL;
    pthread_mutex_lock(&dispatch.lock);
    ksf_suite *suite = NULL;
    int ok = 1;
    for (int slot = 0; slot < SLOTS && ok; slot++) {
        chosen[slot] = slot == SLOT_SHA256 && !name[slot] ? choose_sha256(error, error_len, fell_back)
                                                          : choose(slot, name[slot], len[slot], error, error_len, fell_back);
        ok = chosen[slot] >= 0;
    }
    if (ok) {
        suite = &dispatch.suites[chosen[0]][chosen[1]][chosen[2]];
        uint8_t *made = &dispatch.made[chosen[0]][chosen[1]][chosen[2]];
        if (!*made) {
            *suite = (ksf_suite){ECMULT[chosen[0]], SHA256[chosen[1]], CHACHA20[chosen[2]]};
            *made = 1;
        }
    }
    pthread_mutex_unlock(&dispatch.lock);
    return suite;
}

static void describe(ksf_impl_row *row, int slot, size_t i) {
    const ksf_impl_info *info = info_of(slot, i);
    const uint8_t state = dispatch.state[slot][i];
    *row = (ksf_impl_row){.slot = SLOT_NAME[slot],
                          .name = info->name,
                          .description = info->description,
                          .runs_here = (uint8_t)cpu_has(info),
                          .self_test = state};
    if (slot == SLOT_ECMULT) {
        row->window_min = ECMULT[i]->window_min;
        row->window_default = ECMULT[i]->window_default;
        row->window_max = ECMULT[i]->window_max;
        row->lanes = ECMULT[i]->lanes;
        row->block = ECMULT[i]->block;
        row->peel_block = ECMULT[i]->peel_block;
    } else {
        row->lanes = slot == SLOT_SHA256 ? SHA256[i]->streams : CHACHA20[i]->streams;
    }
}

size_t ksf_impl_list(ksf_impl_row *rows, size_t max) {
    size_t n = 0;
    pthread_mutex_lock(&dispatch.lock);
    for (int slot = 0; slot < SLOTS; slot++)
        for (size_t i = 0; i < SLOT_COUNT[slot]; i++, n++)
            if (n < max) describe(&rows[n], slot, i);
    pthread_mutex_unlock(&dispatch.lock);
    return n;
}

int ksf_suite_impl(const ksf_suite *suite, const char *slot, ksf_impl_row *row) {
    for (int s = 0; s < SLOTS; s++) {
        if (strcmp(slot, SLOT_NAME[s]) != 0) continue;
        const ksf_impl_info *info = s == SLOT_ECMULT   ? &suite->ecmult->info
                                    : s == SLOT_SHA256 ? &suite->sha256->info
                                                       : &suite->chacha20->info;
        for (size_t i = 0; i < SLOT_COUNT[s]; i++) {
            if (info_of(s, i) != info) continue;
            pthread_mutex_lock(&dispatch.lock);
            describe(row, s, i);
            pthread_mutex_unlock(&dispatch.lock);
            return 0;
        }
    }
    return -1;
}
