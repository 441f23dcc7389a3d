#include "base/json.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* cJSON's allocator hooks are global: while a parse runs on this thread they lead into its arena. */
static _Thread_local struct arena *parsing;

static void *hook_alloc(size_t n)
{
    return parsing ? arena_alloc(parsing, n) : malloc(n);
}

static void hook_free(void *p)
{
    if (!parsing)
        free(p);
}

__attribute__((constructor)) static void install_hooks(void)
{
    cJSON_Hooks hooks = {hook_alloc, hook_free};
    cJSON_InitHooks(&hooks);
}

/* Nesting, and the control characters that cJSON would let through (a NUL would cut a string short). 1 when the text
 * ends inside of something. */
static int check_shape(struct str text, struct err *e)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (quoted) {
            if ((unsigned char)c < 0x20)
                return err_set(e, ERR_INVALID_REQUEST, "Bad control character in JSON string at position %zu", i);
            if (c == '\\') {
                if (str_starts(str_from(text, i), STR("\\u0000")))
                    return err_set(e, ERR_INVALID_REQUEST, "JSON text must not contain \\u0000");
                i++;
            } else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > LIMIT_JSON_DEPTH)
                return err_set(e, ERR_INVALID_REQUEST, "JSON is nested deeper than %d levels", LIMIT_JSON_DEPTH);
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        } else if ((unsigned char)c < 0x20 && c != '\n' && c != '\r' && c != '\t') {
            return err_set(e, ERR_INVALID_REQUEST, "Unexpected token in JSON at position %zu", i);
        }
    }
    return quoted || depth;
}

static int precheck(struct str text, struct err *e)
{
    if (!utf8_valid(text))
        return err_set(e, ERR_INVALID_REQUEST, "JSON is not valid UTF-8");
    return check_shape(text, e);
}

int json_precheck(struct str text, struct err *e)
{
    return precheck(text, e) < 0 ? -1 : 0;
}

cJSON *json_parse(struct arena *a, struct str text, struct err *e)
{
    int ends_early = precheck(text, e);
    if (ends_early < 0)
        return NULL;
    if (!text.p)
        text = STR("");
    const char *stop = NULL;
    parsing = a;
    cJSON *tree = cJSON_ParseWithLengthOpts(text.p, text.n, &stop, 0);
    parsing = NULL;
    /* cJSON reports the end of the input as its last byte. */
    size_t at = stop ? (size_t)(stop - text.p) : 0;
    if (!tree && at + 1 >= text.n && (ends_early || !str_trim(text).n)) {
        err_set(e, ERR_INVALID_REQUEST, "Unexpected end of JSON input");
        return NULL;
    }
    struct str rest = str_trim(str_from(text, at));
    if (!tree || rest.n) {
        err_set(e, ERR_INVALID_REQUEST, "Unexpected token in JSON at position %zu",
                tree ? (size_t)(rest.p - text.p) : at);
        return NULL;
    }
    return tree;
}

const cJSON *json_get(const cJSON *obj, const char *key)
{
    return cJSON_IsObject(obj) ? cJSON_GetObjectItemCaseSensitive(obj, key) : NULL;
}

struct str json_str(const cJSON *obj, const char *key)
{
    const cJSON *item = json_get(obj, key);
    return cJSON_IsString(item) ? str_c(item->valuestring) : STR_NONE;
}

bool json_bool(const cJSON *obj, const char *key, bool fallback)
{
    const cJSON *item = json_get(obj, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : fallback;
}

double json_num(const cJSON *obj, const char *key, double fallback)
{
    const cJSON *item = json_get(obj, key);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

/* 0: copy as is; 'u': \u00XX; otherwise the letter behind the backslash. */
static char escape_of(unsigned char c)
{
    switch (c) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    default:
        return c < 0x20 ? 'u' : 0;
    }
}

static size_t plain_run(const char *p, size_t n)
{
    size_t i = 0;
    /* Eight at a time while no byte is below 0x20, a quote or a backslash (the usual "has zero byte" tests). */
    while (n - i >= 8) {
        uint64_t w;
        memcpy(&w, p + i, 8);
        uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
        uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
        if (((w - ones * 0x20) | (quote - ones) | (slash - ones)) & ~w & high)
            break;
        i += 8;
    }
    while (i < n && !escape_of((unsigned char)p[i]))
        i++;
    return i;
}

static int put_valid(struct buf *out, struct str s)
{
    while (s.n) {
        size_t run = plain_run(s.p, s.n);
        if (buf_add(out, s.p, run) < 0)
            return -1;
        s = str_from(s, run);
        if (!s.n)
            break;
        unsigned char c = (unsigned char)s.p[0];
        char letter = escape_of(c), seq[6] = {'\\', letter};
        size_t len = 2;
        if (letter == 'u') {
            char hex[3];
            hex_encode(hex, &c, 1);
            memcpy(seq + 2, (char[]){'0', '0', hex[0], hex[1]}, 4);
            len = 6;
        }
        if (buf_add(out, seq, len) < 0)
            return -1;
        s = str_from(s, 1);
    }
    return 0;
}

/* Text that is not UTF-8 comes only from broken peers: find each good stretch, put U+FFFD between. */
static int put_repaired(struct buf *out, struct str s)
{
    while (s.n) {
        size_t good = 0;
        while (good < s.n) {
            size_t len = 1;
            while (len < 4 && good + len < s.n && !utf8_valid(str_n(s.p + good, len)))
                len++;
            if (!utf8_valid(str_n(s.p + good, len)))
                break;
            good += len;
        }
        if (put_valid(out, str_n(s.p, good)) < 0 || (good < s.n && buf_lit(out, "\xEF\xBF\xBD") < 0))
            return -1;
        s = str_from(s, good < s.n ? good + 1 : good);
    }
    return 0;
}

int json_put_escaped(struct buf *out, struct str s)
{
    return utf8_valid(s) ? put_valid(out, s) : put_repaired(out, s);
}

int json_put_str(struct buf *out, struct str s)
{
    return buf_byte(out, '"') < 0 || json_put_escaped(out, s) < 0 || buf_byte(out, '"') < 0 ? -1 : 0;
}

struct jw jw_begin(struct buf *out)
{
    return (struct jw){.out = out};
}

static void put(struct jw *w, struct str s)
{
    if (buf_str_add(w->out, s) < 0)
        w->failed = true;
}

static void value(struct jw *w)
{
    if (w->comma)
        put(w, STR(","));
    w->comma = true;
}

void jw_obj(struct jw *w)
{
    value(w);
    put(w, STR("{"));
    w->comma = false;
}

void jw_end_obj(struct jw *w)
{
    put(w, STR("}"));
    w->comma = true;
}

void jw_arr(struct jw *w)
{
    value(w);
    put(w, STR("["));
    w->comma = false;
}

void jw_end_arr(struct jw *w)
{
    put(w, STR("]"));
    w->comma = true;
}

void jw_key(struct jw *w, const char *key)
{
    value(w);
    put(w, STR("\""));
    put(w, str_c(key));
    put(w, STR("\":"));
    w->comma = false;
}

void jw_str(struct jw *w, struct str s)
{
    value(w);
    if (json_put_str(w->out, s) < 0)
        w->failed = true;
}

void jw_int(struct jw *w, int64_t number)
{
    value(w);
    if (number < 0)
        put(w, STR("-"));
    if (buf_add_u64(w->out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number) < 0)
        w->failed = true;
}

static void print_num(char out[32], double number)
{
    if (!isfinite(number)) {
        memcpy(out, "null", 5);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, number);
        if (strtod(out, NULL) == number) /* the process never calls setlocale: the point is a point */
            return;
    }
}

void jw_num(struct jw *w, double number)
{
    char text[32];
    print_num(text, number);
    value(w);
    put(w, str_c(text));
}

void jw_bool(struct jw *w, bool truth)
{
    value(w);
    put(w, truth ? STR("true") : STR("false"));
}

void jw_null(struct jw *w)
{
    value(w);
    put(w, STR("null"));
}

void jw_raw(struct jw *w, struct str json)
{
    value(w);
    put(w, json);
}

static void tree_children(struct jw *w, const cJSON *tree);

/* Trees come out of json_parse or of our own code: LIMIT_JSON_DEPTH bounds the recursion. */
/* NOLINTBEGIN(misc-no-recursion) */
void jw_tree(struct jw *w, const cJSON *tree)
{
    if (!tree || cJSON_IsNull(tree)) {
        jw_null(w);
    } else if (cJSON_IsString(tree)) {
        jw_str(w, str_c(tree->valuestring));
    } else if (cJSON_IsNumber(tree)) {
        jw_num(w, tree->valuedouble);
    } else if (cJSON_IsBool(tree)) {
        jw_bool(w, cJSON_IsTrue(tree));
    } else {
        tree_children(w, tree);
    }
}

static void tree_children(struct jw *w, const cJSON *tree)
{
    bool object = cJSON_IsObject(tree);
    object ? jw_obj(w) : jw_arr(w);
    for (const cJSON *child = tree->child; child; child = child->next) {
        if (object) {
            jw_str(w, str_c(child->string));
            put(w, STR(":"));
            w->comma = false;
        }
        jw_tree(w, child);
    }
    object ? jw_end_obj(w) : jw_end_arr(w);
}
/* NOLINTEND(misc-no-recursion) */

int json_print(struct buf *out, const cJSON *tree)
{
    struct jw w = jw_begin(out);
    jw_tree(&w, tree);
    return jw_ok(&w) ? 0 : -1;
}

void jw_kstr(struct jw *w, const char *key, struct str s)
{
    jw_key(w, key);
    jw_str(w, s);
}

void jw_kint(struct jw *w, const char *key, int64_t number)
{
    jw_key(w, key);
    jw_int(w, number);
}

void jw_knum(struct jw *w, const char *key, double number)
{
    jw_key(w, key);
    jw_num(w, number);
}

void jw_kbool(struct jw *w, const char *key, bool truth)
{
    jw_key(w, key);
    jw_bool(w, truth);
}

void jw_knull(struct jw *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}

void jw_kraw(struct jw *w, const char *key, struct str json)
{
    jw_key(w, key);
    jw_raw(w, json);
}

void jw_kiso(struct jw *w, const char *key, int64_t wall_ms)
{
    char iso[ISO_LEN + 1];
    clock_iso(iso, wall_ms);
    jw_kstr(w, key, str_n(iso, ISO_LEN));
}
