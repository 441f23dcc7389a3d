/* Application log: one line per event, `key=value` text or JSON, to stderr. Event names are stable; what varies is a
 * field. No secrets at any level; text of messages only at debug.
 *   log_info("net", "listening", F_STR("host", host), F_INT("port", port));
 *   -> ts=2026-11-21T07:00:13.463Z level=info area=net event=listening host=127.0.0.1 port=8080 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
    const char *key; /* NULL: skip */
    struct str s;    /* used when p is set */
    int64_t i;
};

#define F_STR(key, value) ((struct log_field){(key), (value), 0})
#define F_C(key, value)   ((struct log_field){(key), str_c(value), 0})
#define F_INT(key, value) ((struct log_field){(key), {NULL, 0}, (int64_t)(value)})
#define F_ERR(e)          ((struct log_field){"error", str_c((e)->text), 0})
#define F_NONE            ((struct log_field){NULL, {NULL, 0}, 0})

/* May be called again at any time (SIGHUP). Until the first call: info, text. */
void log_setup(enum log_level level, enum log_format format);
/* "debug" "info" "warn"/"warning" "error" "off"/"silent"; -1 otherwise. */
int log_level_parse(struct str name, enum log_level *level);
bool log_enabled(enum log_level level);

/* The request id that lines of this thread carry; NULL for none. The loop swaps it with the running task. */
extern _Thread_local const char *log_request_id;

/* One line in one write. A line has a ceiling of 16 KiB: the value that meets it is cut, fields behind are left out. */
void log_write(enum log_level level, const char *area, const char *event, const struct log_field *fields, size_t n);

#define LOG_AT(level, area, event, ...)                                                                                \
    do {                                                                                                               \
        if (log_enabled(level))                                                                                        \
            log_write((level), (area), (event), (const struct log_field[]){__VA_ARGS__},                               \
                      sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field));                     \
    } while (0)
/* At least one field; F_NONE when there is nothing to say. */
#define log_debug(area, event, ...) LOG_AT(LOG_DEBUG, area, event, __VA_ARGS__)
#define log_info(area, event, ...)  LOG_AT(LOG_INFO, area, event, __VA_ARGS__)
#define log_warn(area, event, ...)  LOG_AT(LOG_WARN, area, event, __VA_ARGS__)
#define log_error(area, event, ...) LOG_AT(LOG_ERROR, area, event, __VA_ARGS__)

#endif
