#include "config/draft.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REPORT_MAX KIB(64)
#define VALUE_MAX  KIB(64)

void draft_init(struct draft *d)
{
    *d = (struct draft){.values = mem_zalloc(settings_count * sizeof(*d->values)),
                        .errors = BUF_INIT(REPORT_MAX),
                        .warnings = BUF_INIT(REPORT_MAX)};
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void draft_free(struct draft *d)
{
    for (size_t i = 0; d->values && i < settings_count; i++)
        wipe(d->values[i].text);
    free(d->values);
    free(d->config_file);
    free(d->env_file);
    buf_free(&d->errors);
    buf_free(&d->warnings);
    *d = (struct draft){0};
}

PRINTF_LIKE(2, 0)
static void add_line(struct buf *out, const char *fmt, va_list args)
{
    char line[512];
    int n = vsnprintf(line, sizeof(line), fmt, args);
    if (n < 0)
        return;
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    buf_addf(out, "%s\n", line); /* past the ceiling: enough was said */
}

void draft_error(struct draft *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_line(&d->errors, fmt, args);
    va_end(args);
}

void draft_warn(struct draft *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_line(&d->warnings, fmt, args);
    va_end(args);
}

const char *origin_name(enum config_origin origin)
{
    static const char *const names[] = {"default", "file", ".env", "environment", "command line"};
    return names[origin];
}

static bool is_production(struct str text)
{
    return str_ieq(text, STR("production")) || str_ieq(text, STR("prod"));
}

/* Two names of one setting in one source: says so when they differ, and tells whether the new one wins. */
static bool wins_over_other_name(struct draft *d, const struct setting *s, unsigned rank, struct str text)
{
    const struct draft_value *old = &d->values[setting_index(s)];
    bool wins = rank < old->rank;
    if (str_eqc(text, old->text))
        return wins;
    if (s->offset == offsetof(struct config, environment) && is_production(text) != is_production(str_c(old->text)))
        wins = is_production(text);
    const char *new_name = rank < COUNT(s->names) ? s->names[rank] : "Urls";
    const char *old_name = old->rank < COUNT(s->names) ? s->names[old->rank] : "Urls";
    draft_warn(d, "%s and %s (%s) differ: %s is used", old_name, new_name, origin_name(old->origin),
               wins ? new_name : old_name);
    return wins;
}

void draft_set(struct draft *d, const struct setting *s, unsigned rank, enum config_origin origin, struct str text)
{
    struct draft_value *value = &d->values[setting_index(s)];
    text = str_trim(text);
    if (text.n == 0 && origin != ORIGIN_FLAG)
        return;
    if (text.n > VALUE_MAX || (text.n && memchr(text.p, 0, text.n))) {
        draft_error(d, "%s (%s) must be text of at most %zu bytes", s->names[0], origin_name(origin), VALUE_MAX);
        return;
    }
    if (value->text && origin < value->origin)
        return;
    if (value->text && origin == value->origin && origin != ORIGIN_FLAG && rank != value->rank &&
        !wins_over_other_name(d, s, rank, text))
        return;
    wipe(value->text);
    *value = (struct draft_value){.text = str_dup(text), .origin = origin, .rank = rank};
}
