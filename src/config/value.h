/* Inside config/: text to typed fields and back. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "base/arena.h"
#include "config/setting.h"

/* Sets the row's field of cfg from text (trimmed, not empty, no NUL); what it points to lives in the arena. -1 with
 * what is allowed in e->text; the field is untouched then. */
int value_parse(const struct setting *s, struct str text, struct config *cfg, struct arena *a, struct err *e);
/* The row's value in cfg, secrets and passwords in URLs masked. */
void value_put(struct buf *out, const struct setting *s, const struct config *cfg);
/* Whether the text must not be shown at all. */
bool value_is_private(const struct setting *s, struct str text);

/* LLM_UPSTREAMS. */
int upstreams_parse(struct str text, struct config_upstreams *out, struct arena *a, struct err *e);

/* A URL with one of the schemes ("http|https"), no query, no spaces: its text without trailing slashes, .p NULL when
 * it is none. */
struct str url_check(struct str text, const char *schemes, bool scheme_optional);

#endif
