#include "base/metrics.h"

#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/mem.h"

#include <math.h>
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

/* The metric of that name and labels; made like `like` when it is new. Complete before the lock is left, for another
 * thread may render at once. */
static struct metric *registered(const char *name, const char *help, const char *labels, const struct metric *like)
{
    pthread_mutex_lock(&lock);
    struct group *g = group_of(name, help, like->kind);
    if (g->kind != like->kind)
        die("metric %s is registered as two kinds", name);
    struct metric *m = g->first;
    while (m && strcmp(m->labels, labels ? labels : "") != 0)
        m = m->next;
    if (!m) {
        m = mem_zalloc(sizeof *m + (like->nbounds + 1) * sizeof m->buckets[0]);
        m->kind = like->kind;
        m->labels = str_dup(str_c(labels ? labels : ""));
        m->read = like->read;
        m->arg = like->arg;
        m->bounds = like->bounds;
        m->nbounds = like->nbounds;
        m->scale = like->scale;
        *g->end = m;
        g->end = &m->next;
    }
    pthread_mutex_unlock(&lock);
    return m;
}

struct metric *metric_counter(const char *name, const char *help, const char *labels)
{
    return registered(name, help, labels, &(struct metric){.kind = METRIC_COUNTER});
}

struct metric *metric_gauge(const char *name, const char *help, const char *labels)
{
    return registered(name, help, labels, &(struct metric){.kind = METRIC_GAUGE});
}

struct metric *metric_histogram(const char *name, const char *help, const char *labels, const double *bounds, size_t n,
                                double scale)
{
    return registered(name, help, labels,
                      &(struct metric){.kind = METRIC_HISTOGRAM, .bounds = bounds, .nbounds = n, .scale = scale});
}

void metric_gauge_fn(const char *name, const char *help, const char *labels, double (*read)(void *arg), void *arg)
{
    registered(name, help, labels, &(struct metric){.kind = METRIC_GAUGE_FN, .read = read, .arg = arg});
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

/* Prometheus spells what JSON cannot say. */
static int put_value(struct buf *out, double value)
{
    if (isnan(value))
        return buf_lit(out, "NaN");
    if (isinf(value))
        return value > 0 ? buf_lit(out, "+Inf") : buf_lit(out, "-Inf");
    struct jw w = jw_begin(out);
    jw_num(&w, value);
    return jw_ok(&w) ? 0 : -1;
}

/* name<suffix>{labels,extra} value */
static int sample(struct buf *out, const char *name, const char *labels, const char *extra, double value)
{
    bool braces = labels[0] || extra[0];
    if (buf_addf(out, "%s%s%s%s%s%s ", name, braces ? "{" : "", labels, labels[0] && extra[0] ? "," : "", extra,
                 braces ? "}" : "") < 0)
        return -1;
    return put_value(out, value) < 0 || buf_byte(out, '\n') < 0 ? -1 : 0;
}

static int render_histogram(struct buf *out, const char *name, const struct metric *m)
{
    char text[256], le[48];
    uint64_t total = 0;
    snprintf(text, sizeof text, "%s_bucket", name);
    for (size_t i = 0; i <= m->nbounds; i++) {
        total += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        if (i < m->nbounds)
            snprintf(le, sizeof le, "le=\"%.15g\"", m->bounds[i]);
        else
            snprintf(le, sizeof le, "le=\"+Inf\"");
        if (sample(out, text, m->labels, le, (double)total) < 0)
            return -1;
    }
    double sum = (double)atomic_load_explicit(&m->sum, memory_order_relaxed) * m->scale;
    snprintf(text, sizeof text, "%s_sum", name);
    if (sample(out, text, m->labels, "", sum) < 0)
        return -1;
    snprintf(text, sizeof text, "%s_count", name);
    return sample(out, text, m->labels, "", (double)total);
}

static int render_group(struct buf *out, const struct group *g)
{
    static const char *const types[] = {"counter", "gauge", "gauge", "histogram"};
    int result = buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", g->name, g->help, g->name, types[g->kind]);
    for (const struct metric *m = g->first; m && result == 0; m = m->next) {
        if (m->kind == METRIC_HISTOGRAM)
            result = render_histogram(out, g->name, m);
        else
            result = sample(out, g->name, m->labels, "",
                            m->kind == METRIC_GAUGE_FN ? m->read(m->arg) : (double)metric_value(m));
    }
    return result;
}

int metrics_render(struct buf *out)
{
    int result = 0;
    pthread_mutex_lock(&lock);
    for (const struct group *g = groups; g && result == 0; g = g->next)
        result = render_group(out, g);
    pthread_mutex_unlock(&lock);
    return result;
}
