/* The command line, GNU style: --name=value, --name value, --switch, --no-switch. */
#include "config/draft.h"

#include <stdlib.h>

struct args {
    int argc, at;
    char *const *argv;
};

/* The value behind "=" or in the next argument; .p NULL when there is none. */
static struct str take_value(struct args *args, struct str inline_value)
{
    if (inline_value.p)
        return inline_value;
    if (args->at + 1 >= args->argc)
        return STR_NONE;
    return str_c(args->argv[++args->at]);
}

static void take_file(struct draft *d, struct args *args, struct str inline_value, char **path)
{
    struct str value = take_value(args, inline_value);
    if (!value.n) {
        draft_error(d, "%s needs a file name", path == &d->config_file ? "--config" : "--env-file");
        return;
    }
    free(*path);
    *path = str_dup(value);
}

static bool is_bool_word(const char *text)
{
    return str_eqc(STR("true"), text) || str_eqc(STR("false"), text);
}

static void unknown(struct draft *d, struct str name)
{
    const struct setting *near = setting_nearest(name);
    char flag[SETTING_FLAG_MAX];
    if (near)
        setting_flag(flag, near->names[0]);
    draft_error(d, "unknown option --%.*s%s%s%s", (int)MIN(name.n, 64u), name.p, near ? "; did you mean " : "",
                near ? flag : "", near ? "?" : "");
}

static void take_switch(struct draft *d, struct args *args, const struct setting *s, unsigned rank)
{
    bool said = args->at + 1 < args->argc && is_bool_word(args->argv[args->at + 1]);
    draft_set(d, s, rank, ORIGIN_FLAG, said ? str_c(args->argv[++args->at]) : STR("true"));
}

static void take_setting(struct draft *d, struct args *args, struct str name, struct str inline_value)
{
    unsigned rank = 0;
    const struct setting *s = setting_find_loose(name, &rank);
    if (!s && str_starts(name, STR("no-")) && !inline_value.p) {
        s = setting_find_loose(str_from(name, 3), &rank);
        if (s && s->type == SETTING_BOOL) {
            draft_set(d, s, rank, ORIGIN_FLAG, STR("false"));
            return;
        }
        s = NULL;
    }
    if (!s) {
        unknown(d, name);
        bool had_value = !inline_value.p && args->at + 1 < args->argc && args->argv[args->at + 1][0] != '-';
        args->at += had_value;
        return;
    }
    if (s->type == SETTING_BOOL && !inline_value.p) {
        take_switch(d, args, s, rank);
        return;
    }
    struct str value = take_value(args, inline_value);
    if (!value.p) {
        draft_error(d, "--%.*s needs a value", STR_ARG(name));
        return;
    }
    if ((s->flags & SETTING_SECRET) && value.n)
        draft_warn(d, "%s on the command line is visible to every user of this machine", s->names[0]);
    draft_set(d, s, rank, ORIGIN_FLAG, value);
}

static void take_long(struct draft *d, struct args *args, struct str name)
{
    struct str inline_value = STR_NONE;
    ptrdiff_t equals = str_find_char(name, '=');
    if (equals >= 0) {
        inline_value = str_from(name, (size_t)equals + 1);
        name.n = (size_t)equals;
    }
    if (str_eqc(name, "config"))
        take_file(d, args, inline_value, &d->config_file);
    else if (str_eqc(name, "env-file"))
        take_file(d, args, inline_value, &d->env_file);
    else
        take_setting(d, args, name, inline_value);
}

static bool is_own(const char *const *own_flags, const char *arg)
{
    for (; own_flags && *own_flags; own_flags++)
        if (strcmp(*own_flags, arg) == 0)
            return true;
    return false;
}

void read_args(struct draft *d, int argc, char *const *argv, const char *const *own_flags)
{
    struct args args = {.argc = argc, .argv = argv};
    for (; args.at < argc; args.at++) {
        struct str arg = str_c(argv[args.at]);
        if (is_own(own_flags, arg.p))
            continue;
        if (str_starts(arg, STR("-c")))
            take_file(d, &args, arg.n > 2 ? str_from(arg, 2) : STR_NONE, &d->config_file);
        else if (str_starts(arg, STR("--")) && arg.n > 2)
            take_long(d, &args, str_from(arg, 2));
        else
            draft_error(d, "unexpected argument \"%.*s\"", (int)MIN(arg.n, 64u), arg.p);
    }
}
