/* Latencies of one run: every sample is kept, so percentiles are exact. Shared by the bench programs. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct samples {
    uint64_t *ns;
    size_t n, cap;
};

static inline uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline void samples_add(struct samples *s, uint64_t ns)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        s->ns = mem_realloc(s->ns, s->cap * sizeof(*s->ns));
    }
    s->ns[s->n++] = ns;
}

static inline int samples_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorted before: samples_print does it. */
static inline double samples_us(const struct samples *s, double quantile)
{
    if (s->n == 0)
        return 0;
    size_t at = (size_t)(quantile * (double)(s->n - 1));
    return (double)s->ns[at] / 1000.0;
}

/* Prints "<name>":{"n":…,"p50_us":…,"p99_us":…,"p999_us":…} */
static inline void samples_print(struct samples *s, const char *name)
{
    if (s->n > 1)
        qsort(s->ns, s->n, sizeof(*s->ns), samples_compare);
    printf("\"%s\":{\"n\":%zu,\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f}", name, s->n, samples_us(s, 0.5),
           samples_us(s, 0.99), samples_us(s, 0.999));
}

#endif
