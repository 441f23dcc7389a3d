#include "server/engineio_impl.h"

static struct eio_metrics metrics;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct metric *labelled(const char *name, const char *help, const char *key, struct str value)
{
    struct buf labels = BUF_INIT(KIB(1));
    metric_label(&labels, key, value);
    struct metric *m = metric_counter(name, help, buf_cstr(&labels));
    buf_free(&labels);
    return m;
}

static void make(void)
{
    static const char sessions[] = "parley_engineio_sessions", help[] = "Open Engine.IO sessions by transport";
    metrics = (struct eio_metrics){
        .polling = metric_gauge(sessions, help, "transport=\"polling\""),
        .websocket = metric_gauge(sessions, help, "transport=\"websocket\""),
        .opened = metric_counter("parley_engineio_opened_total", "Engine.IO sessions begun", NULL),
        .upgrades = metric_counter("parley_engineio_upgrades_total", "Sessions that went over to a WebSocket", NULL),
        .dropped = metric_counter("parley_engineio_dropped_total",
                                  "Messages dropped because a session's client reads too slowly", NULL),
    };
    for (int end = 0; end <= EIO_SHUTDOWN; end++)
        metrics.closed[end] = labelled("parley_engineio_closed_total", "Engine.IO sessions ended, by reason", "reason",
                                       str_c(eio_end_name((enum eio_end)end)));
    for (int code = 0; code < EIO_CODES; code++) {
        char digit = (char)('0' + code);
        metrics.refused[code] =
            labelled("parley_engineio_refused_total", "Requests refused, by Engine.IO code", "code", str_n(&digit, 1));
    }
}

const struct eio_metrics *eio_metrics(void)
{
    pthread_once(&once, make);
    return &metrics;
}
