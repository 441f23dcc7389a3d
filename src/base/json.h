/* JSON trees for everything that is not on the path of every message (that reads with wire/json.h), and the writer.
 * Input is checked for UTF-8 and nesting before cJSON sees it: nothing here recurses deeper than LIMIT_JSON_DEPTH. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <cjson/cJSON.h>

/* Parses the whole text; trailing bytes are an error. The tree lives in the arena: never cJSON_Delete it. NULL and
 * INVALID_REQUEST with the reason otherwise. The literal null gives a tree of type null. */
cJSON *json_parse(struct arena *a, struct str text, struct err *e);
/* UTF-8, nesting and control characters only: 0, or -1 with the reason. */
int json_precheck(struct str text, struct err *e);

/* Members of an object; each returns the fallback when obj is no object or the member has another type. */
const cJSON *json_get(const cJSON *obj, const char *key); /* NULL when absent */
struct str json_str(const cJSON *obj, const char *key);   /* .p NULL when absent or no string */
bool json_bool(const cJSON *obj, const char *key, bool fallback);
double json_num(const cJSON *obj, const char *key, double fallback);

/* Compact text of the tree appended to out; -1 past the ceiling. */
int json_print(struct buf *out, const cJSON *tree);

/* The string with quotes and escapes; control characters as \u00XX, invalid UTF-8 as U+FFFD. -1 past the ceiling. */
int json_put_str(struct buf *out, struct str s);
/* Escapes without the quotes, for text that is written in pieces. */
int json_put_escaped(struct buf *out, struct str s);

/* Writer: commas are put where they belong. Errors (the ceiling) stick: check jw_ok once at the end.
 *   struct jw w = jw_begin(&out); jw_obj(&w); jw_kstr(&w, "id", id); jw_end_obj(&w); */
struct jw {
    struct buf *out;
    bool comma;
    bool failed;
};

struct jw jw_begin(struct buf *out);
static inline bool jw_ok(const struct jw *w)
{
    return !w->failed;
}
void jw_obj(struct jw *w);
void jw_end_obj(struct jw *w);
void jw_arr(struct jw *w);
void jw_end_arr(struct jw *w);
void jw_key(struct jw *w, const char *key); /* key is a literal that needs no escaping */
void jw_str(struct jw *w, struct str s);
void jw_int(struct jw *w, int64_t value);
void jw_num(struct jw *w, double value); /* shortest text that reads back the same; NaN and infinities as null */
void jw_bool(struct jw *w, bool value);
void jw_null(struct jw *w);
void jw_raw(struct jw *w, struct str json); /* already JSON */
void jw_tree(struct jw *w, const cJSON *tree);
/* Key and value in one call. */
void jw_kstr(struct jw *w, const char *key, struct str s);
void jw_kint(struct jw *w, const char *key, int64_t value);
void jw_knum(struct jw *w, const char *key, double value);
void jw_kbool(struct jw *w, const char *key, bool value);
void jw_knull(struct jw *w, const char *key);
void jw_kraw(struct jw *w, const char *key, struct str json);
void jw_kiso(struct jw *w, const char *key, int64_t wall_ms); /* clock_iso as a string */

#endif
