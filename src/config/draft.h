/* Inside config/: values as text, gathered from all sources before any of them is parsed. The readers below may run
 * in any order: the origin decides who wins. */
#ifndef CONFIG_DRAFT_H
#define CONFIG_DRAFT_H

#include "base/arena.h"
#include "config/setting.h"

struct draft_value {
    char *text; /* malloc'd; NULL: not given. Empty (command line only): back to the default */
    enum config_origin origin;
    unsigned rank; /* which of the setting's names it came by */
};

struct draft {
    struct draft_value *values; /* settings_count of them */
    struct buf errors;          /* one line each */
    struct buf warnings;        /* one line each */
    char *config_file;          /* --config; malloc'd */
    char *env_file;             /* --env-file; malloc'd */
};

void draft_init(struct draft *d);
/* Wipes and frees. */
void draft_free(struct draft *d);

/* Offers a value. A higher origin wins; within one origin the earlier name, and of one name the later value. Empty
 * values count only on the command line. */
void draft_set(struct draft *d, const struct setting *s, unsigned rank, enum config_origin origin, struct str text);
void draft_error(struct draft *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void draft_warn(struct draft *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "command line", "environment", ".env", "file", "default". */
const char *origin_name(enum config_origin origin);

/* The sources. `where` names the file in messages; none of them shows a value. */
void read_args(struct draft *d, int argc, char *const *argv, const char *const *own_flags);
void read_environment(struct draft *d, char *const *envp);
void read_dotenv(struct draft *d, struct str text, const char *where);
void read_json(struct draft *d, struct str text, const char *where);

/* Parses and checks everything: NULL when draft.errors got any line. Takes over d->values when it succeeds. */
struct config *draft_finish(struct draft *d);

#endif
