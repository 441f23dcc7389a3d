/* Inside config/: one row of the settings table, and finding rows by the ways people write their names. */
#ifndef CONFIG_SETTING_H
#define CONFIG_SETTING_H

#include "config/config.h"

enum setting_type {
    SETTING_HEADING, /* no setting: `help` heads the rows that follow */
    SETTING_STRING,
    SETTING_UINT, /* min..max */
    SETTING_BOOL,
    SETTING_DURATION, /* ms; min..max; a plain number counts in `unit` ms */
    SETTING_SIZE,     /* bytes; min..max */
    SETTING_ENUM,     /* choices, int */
    SETTING_SET,      /* choices, any of them in a comma list: one bit each, uint64_t */
    SETTING_LIST,     /* comma list of strings */
    SETTING_ORIGINS,  /* comma list of web origins, or * */
    SETTING_PORTS,
    SETTING_URL, /* choices: the schemes */
    SETTING_TRUST,
    SETTING_UPSTREAMS, /* JSON array */
};

enum {
    SETTING_SECRET = 1 << 0,
    SETTING_RELOADS = 1 << 1,   /* SIGHUP takes a new value over */
    SETTING_NO_SCHEME = 1 << 2, /* a URL may go without its scheme */
};

struct setting {
    const char *names[4]; /* variables; the first is the setting's name, an earlier one wins over a later */
    enum setting_type type;
    unsigned flags;
    size_t offset;          /* in struct config */
    const char *fallback;   /* default as it would be written; NULL: unset */
    const char *production; /* default in production where it differs */
    uint64_t min, max, unit;
    const char *choices; /* "a|b=synonym=synonym|c": the index is the value */
    const char *help;
};

/* The table, in the order --help shows. */
extern const struct setting settings[];
extern const size_t settings_count;

static inline size_t setting_index(const struct setting *s)
{
    return (size_t)(s - settings);
}

/* The row one of whose variables is exactly `name`; *rank (may be NULL) is which. NULL when there is none. */
const struct setting *setting_find(struct str name, unsigned *rank);
/* As setting_find, with upper and lower case alike and '_' '-' ':' '.' ' ' passed over: api-token, OpenAI:ApiKey. */
const struct setting *setting_find_loose(struct str name, unsigned *rank);
/* The row whose name is nearest to a mistyped one, NULL when none is near. */
const struct setting *setting_nearest(struct str name);

/* "--rate-limit-max-requests" for RATE_LIMIT_MAX_REQUESTS. */
#define SETTING_FLAG_MAX 64
void setting_flag(char out[SETTING_FLAG_MAX], const char *name);

/* The n-th choice with its synonyms left out; .p NULL past the last. */
struct str setting_choice(const char *choices, size_t n);

struct setting_scale {
    const char *unit;
    uint64_t factor; /* 1 ends the table */
};
extern const struct setting_scale setting_durations[], setting_sizes[];

/* The number as people write it: 5, 30s, 4MiB. */
void setting_put_number(struct buf *out, const struct setting *s, uint64_t number);
/* What a value must be: "a whole number from 1 to 128". */
void setting_allowed(struct buf *out, const struct setting *s);

#endif
