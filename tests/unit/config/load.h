/* Configurations from strings, for the tests of this folder. */
#ifndef UNIT_CONFIG_LOAD_H
#define UNIT_CONFIG_LOAD_H

#include "config/draft.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NO_FILE "/nonexistent/.env"

/* NULL-terminated lists; problems may be NULL. */
static inline struct config *load_with(char *const *args, char *const *env, const char *env_file, struct buf *problems)
{
    static char *const nothing[] = {NULL};
    struct err e;
    int argc = 0;
    args = args ? args : nothing;
    while (args[argc])
        argc++;
    struct config_source src = {argc, args, env ? env : nothing, env_file ? env_file : NO_FILE, NULL};
    struct config *cfg = config_load(&src, problems, &e);
    if (!cfg)
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
    return cfg;
}

#define ARGS(...)      ((char *const[]){__VA_ARGS__, NULL})
#define load_env(...)  load_with(NULL, ARGS(__VA_ARGS__), NULL, NULL)
#define load_args(...) load_with(ARGS(__VA_ARGS__), NULL, NULL, NULL)

/* A temporary file; the path lies in `path`. */
static inline const char *write_file(char path[32], struct str text)
{
    snprintf(path, 32, "/tmp/parley_config_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
    close(fd);
    return path;
}

static inline struct config *load_dotenv(struct str text, struct buf *problems)
{
    char path[32];
    struct config *cfg = load_with(NULL, NULL, write_file(path, text), problems);
    unlink(path);
    return cfg;
}

static inline struct config *load_json(struct str text, struct buf *problems)
{
    char path[32];
    write_file(path, text);
    struct config *cfg = load_with(ARGS("--config", path), NULL, NULL, problems);
    unlink(path);
    return cfg;
}

static inline bool has_text(struct buf *b, const char *text)
{
    return str_find(buf_str(b), str_c(text)) >= 0;
}

static inline bool warns(const struct config *cfg, const char *text)
{
    for (size_t i = 0; i < cfg->warnings.count; i++)
        if (str_find(str_c(cfg->warnings.items[i]), str_c(text)) >= 0)
            return true;
    return false;
}

#endif
