#include "base/err.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct err_info {
    const char *name;
    int status;
    const char *text;
};

#define X(code, status, text) [ERR_##code] = {#code, status, text},
static const struct err_info errs[ERR_CODES] = {[ERR_NONE] = {"NONE", 200, ""}, ERR_TABLE(X)};
#undef X

int(err_set)(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (!e)
        return -1;
    e->code = code;
    e->status = err_status(code);
    e->retry_after_ms = 0;
    if (!fmt) {
        snprintf(e->text, sizeof e->text, "%s", err_text(code));
        return -1;
    }
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    if (n < 0)
        snprintf(e->text, sizeof e->text, "%s", err_text(code));
    else if (n >= (int)sizeof e->text)
        e->text[utf8_whole(e->text, sizeof e->text - 1)] = 0;
    return -1;
}

const char *err_name(enum err_code code)
{
    return errs[code].name;
}

int err_status(enum err_code code)
{
    return errs[code].status;
}

const char *err_text(enum err_code code)
{
    return errs[code].text;
}

void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("parley: fatal: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}
