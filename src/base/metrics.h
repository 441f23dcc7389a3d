/* Counters, gauges and histograms, rendered as Prometheus text 0.0.4. Register at start, keep the pointer, update from
 * any thread without a lock. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"

struct metric;

/* `name` and `help` are literals; `labels` is the inside of the braces (`route="/api/chat",method="POST"`, escaped by
 * metric_label) or NULL, and is copied. The same name and labels give the same metric; one name with two kinds is a bug
 * (die). Live until the process ends. */
struct metric *metric_counter(const char *name, const char *help, const char *labels);
struct metric *metric_gauge(const char *name, const char *help, const char *labels);
/* Upper bounds ascending, in the metric's unit, a literal array. Observed values are integers that `scale` turns into
 * that unit: nanoseconds with 1e-9 for seconds. */
struct metric *metric_histogram(const char *name, const char *help, const char *labels, const double *bounds, size_t n,
                                double scale);
/* A gauge whose value is asked for when rendered; read() must be safe on any thread and call nothing of this header.
 * The first registration of a name with its labels counts. */
void metric_gauge_fn(const char *name, const char *help, const char *labels, double (*read)(void *arg), void *arg);

void metric_add(struct metric *m, int64_t n); /* counters: n >= 0 */
void metric_set(struct metric *m, int64_t value);
int64_t metric_value(const struct metric *m);
void metric_observe(struct metric *m, uint64_t raw);
static inline void metric_inc(struct metric *m)
{
    metric_add(m, 1);
}
static inline void metric_dec(struct metric *m)
{
    metric_add(m, -1);
}

/* Appends key="value", escaped, with a comma in front when out is not empty. */
void metric_label(struct buf *out, const char *key, struct str value);

/* The whole registry, one group per name. -1 past out's ceiling. */
int metrics_render(struct buf *out);

/* Bounds of OpenTelemetry's http.server.request.duration, seconds. */
extern const double metric_seconds[14];

#endif
