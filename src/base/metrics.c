#include "base/metrics.h"

#include "base/json.h"
#include "base/list.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_GAUGE_FN, METRIC_HISTOGRAM };

struct metric {
    struct metric *next; /* registration order within the name's group */
    enum metric_kind kind;
    char *labels;
    _Atomic int64_t value;
    double (*read)(void *arg);
    void *arg;
    const double *bounds;
    size_t nbounds;
    double scale;
    _Atomic uint64_t sum;
    _Atomic uint64_t buckets[]; /* nbounds and one for +Inf; not cumulative */
};

struct group {
    struct group *next;
    const char *name, *help;
    enum metric_kind kind;
    struct metric *first, **end;
};

static struct group *groups;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

const double metric_seconds[14] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10};

static struct group *group_of(const char *name, const char *help, enum metric_kind kind)
{
    struct group **at = &groups;
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    if (*at && strcmp((*at)->name, name) == 0)
        return *at;
    struct group *g = mem_zalloc(sizeof *g);
    *g = (struct group){.next = *at, .name = name, .help = help, .kind = kind};
    g->end = &g->first;
    *at = g;
    return g;
}

static struct metric *registered(const char *name, const char *help, const char *labels, enum metric_kind kind,
                                 size_t nbounds)
{
    pthread_mutex_lock(&lock);
    struct group *g = group_of(name, help, kind);
    struct metric *m = g->first;
    while (m && strcmp(m->labels, labels ? labels : "") != 0)
        m = m->next;
    if (!m) {
        m = mem_zalloc(sizeof *m + (nbounds + 1) * sizeof m->buckets[0]);
        m->kind = kind;
        m->labels = str_dup(str_c(labels ? labels : ""));
        m->nbounds = nbounds;
        *g->end = m;
        g->end = &m->next;
    }
    pthread_mutex_unlock(&lock);
    return m;
}

struct metric *metric_counter(const char *name, const char *help, const char *labels)
{
    return registered(name, help, labels, METRIC_COUNTER, 0);
}

struct metric *metric_gauge(const char *name, const char *help, const char *labels)
{
    return registered(name, help, labels, METRIC_GAUGE, 0);
}

struct metric *metric_histogram(const char *name, const char *help, const char *labels, const double *bounds,
                                size_t n, double scale)
{
    struct metric *m = registered(name, help, labels, METRIC_HISTOGRAM, n);
    m->bounds = bounds;
    m->scale = scale;
    return m;
}

void metric_gauge_fn(const char *name, const char *help, const char *labels, double (*read)(void *arg), void *arg)
{
    struct metric *m = registered(name, help, labels, METRIC_GAUGE_FN, 0);
    pthread_mutex_lock(&lock);
    m->read = read;
    m->arg = arg;
    pthread_mutex_unlock(&lock);
}

void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t value)
{
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

int64_t metric_value(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

void metric_observe(struct metric *m, uint64_t raw)
{
    double scaled = (double)raw * m->scale;
    size_t at = 0;
    while (at < m->nbounds && scaled > m->bounds[at])
        at++;
    atomic_fetch_add_explicit(&m->buckets[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->sum, raw, memory_order_relaxed);
}

void metric_label(struct buf *out, const char *key, struct str value)
{
    buf_addf(out, "%s%s=\"", out->len ? "," : "", key);
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\n')
            buf_lit(out, "\\n");
        else if (c == '"' || c == '\\')
            buf_add(out, (char[]){'\\', c}, 2);
        else
            buf_byte(out, c);
    }
    buf_byte(out, '"');
}

static void sample(struct buf *out, const char *name, const char *suffix, const char *labels, double value)
{
    struct jw w = jw_begin(out);
    buf_addf(out, labels[0] ? "%s%s{%s} " : "%s%s%s ", name, suffix, labels);
    jw_num(&w, value);
    buf_byte(out, '\n');
}

static void render_histogram(struct buf *out, const char *name, const struct metric *m)
{
    char labels[512];
    uint64_t total = 0;
    for (size_t i = 0; i <= m->nbounds; i++) {
        total += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        if (i < m->nbounds)
            snprintf(labels, sizeof labels, "%s%sle=\"%g\"", m->labels, m->labels[0] ? "," : "", m->bounds[i]);
        else
            snprintf(labels, sizeof labels, "%s%sle=\"+Inf\"", m->labels, m->labels[0] ? "," : "");
        sample(out, name, "_bucket", labels, (double)total);
    }
    double sum = (double)atomic_load_explicit(&m->sum, memory_order_relaxed) * m->scale;
    sample(out, name, "_sum", m->labels, sum);
    sample(out, name, "_count", m->labels, (double)total);
}

int metrics_render(struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "gauge", "histogram"};
    pthread_mutex_lock(&lock);
    for (const struct group *g = groups; g; g = g->next) {
        buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", g->name, g->help, g->name, types[g->kind]);
        for (const struct metric *m = g->first; m; m = m->next) {
            if (m->kind == METRIC_HISTOGRAM)
                render_histogram(out, g->name, m);
            else
                sample(out, g->name, "", m->labels,
                       m->kind == METRIC_GAUGE_FN ? m->read(m->arg) : (double)metric_value(m));
        }
    }
    pthread_mutex_unlock(&lock);
    return out->len < out->max ? 0 : -1;
}
