/* The --config file: settings by their names, flat or nested in any spelling (RATE_LIMIT_WINDOW_MS,
 * {"rateLimit":{"windowMs":…}}, {"OpenAI":{"ApiKey":…}}), so .NET's appsettings.json needs no rules of its own but
 * for Urls and the sections that are the framework's. */
#include "config/draft.h"

#include "base/json.h"
#include "base/limits.h"

#define PATH_CAP  256
#define RANK_URLS COUNT(((struct setting *)0)->names) /* behind every real name of PORT and HOST */

struct walk {
    struct draft *d;
    const char *where;
    char path[PATH_CAP]; /* "OpenAI:ApiKey" */
};

/* Where the token at `at` ends: a string, a comment, or one byte. */
static size_t token_end(struct str text, size_t at)
{
    struct str rest = str_from(text, at);
    ptrdiff_t end;
    if (str_starts(rest, STR("//"))) {
        end = str_find_char(rest, '\n');
        return end < 0 ? text.n : at + (size_t)end;
    }
    if (str_starts(rest, STR("/*"))) {
        end = str_find(str_from(rest, 2), STR("*/"));
        return end < 0 ? text.n : at + (size_t)end + 4;
    }
    if (rest.p[0] != '"')
        return at + 1;
    for (size_t i = at + 1; i < text.n; i++) {
        if (text.p[i] == '"')
            return i + 1;
        i += text.p[i] == '\\';
    }
    return text.n;
}

/* .NET's reader allows comments and trailing commas: blanks take their place. */
static void blank_extensions(char *p, size_t n)
{
    char *comma = NULL;
    for (size_t at = 0, end; at < n; at = end) {
        end = token_end(str_n(p, n), at);
        if (p[at] == '/' && end > at + 1)
            memset(p + at, ' ', end - at);
        if (comma && (p[at] == '}' || p[at] == ']'))
            *comma = ' ';
        if (p[at] == ',')
            comma = p + at;
        else if (p[at] != ' ' && p[at] != '\t' && p[at] != '\r' && p[at] != '\n')
            comma = NULL;
    }
}

/* The text of a string, number or truth value; false for the rest. */
static bool put_scalar(struct buf *out, const cJSON *item)
{
    if (cJSON_IsString(item))
        return buf_str_add(out, str_c(item->valuestring)) == 0;
    if (cJSON_IsBool(item) || cJSON_IsNumber(item))
        return json_print(out, item) == 0;
    return false;
}

static bool put_value(struct buf *out, const struct setting *s, const cJSON *item)
{
    if (s->type == SETTING_UPSTREAMS && cJSON_IsArray(item))
        return json_print(out, item) == 0;
    if (!cJSON_IsArray(item))
        return put_scalar(out, item);
    for (const cJSON *piece = item->child; piece; piece = piece->next)
        if ((piece != item->child && buf_byte(out, ',') < 0) || !put_scalar(out, piece))
            return false;
    return true;
}

/* "http://localhost:5198;http://+:80": the ports of all plain addresses and the host of the first. */
static void read_urls(struct walk *w, struct str urls)
{
    struct buf ports = BUF_INIT(KIB(1));
    struct str url, host = STR_NONE;
    while (str_split(&urls, ';', &url)) {
        url = str_trim(url);
        ptrdiff_t colon = str_find(url, STR("://"));
        struct str rest = colon < 0 ? STR("") : str_from(url, (size_t)colon + 3);
        struct str scheme = colon < 0 ? url : str_n(url.p, (size_t)colon);
        while (rest.n && rest.p[rest.n - 1] == '/')
            rest.n--;
        const char *port = rest.n ? memrchr(rest.p, ':', rest.n) : NULL;
        if (!str_ieq(scheme, STR("http")) || (port && memchr(port, ']', rest.n - (size_t)(port - rest.p)))) {
            draft_warn(w->d, "%s: Urls: an address that is not http://host:port is ignored", w->where);
            continue;
        }
        struct str number = port ? str_n(port + 1, rest.n - (size_t)(port + 1 - rest.p)) : STR("80");
        buf_addf(&ports, "%s%.*s", ports.len ? "," : "", STR_ARG(number));
        if (!host.p)
            host = port ? str_n(rest.p, (size_t)(port - rest.p)) : rest;
    }
    if (str_eqc(host, "*") || str_eqc(host, "+"))
        host = STR("0.0.0.0");
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_n(host.p + 1, host.n - 2);
    draft_set(w->d, setting_find(STR("PORT"), NULL), RANK_URLS, ORIGIN_FILE, buf_str(&ports));
    draft_set(w->d, setting_find(STR("HOST"), NULL), RANK_URLS, ORIGIN_FILE, host);
    buf_free(&ports);
}

static bool is_foreign(struct str path)
{
    static const char *const sections[] = {"Kestrel", "AllowedHosts", "Logging", "$schema", "DetailedErrors"};
    ptrdiff_t colon = str_find_char(path, ':');
    if (colon >= 0)
        path.n = (size_t)colon;
    for (size_t i = 0; i < COUNT(sections); i++)
        if (str_ieq(path, str_c(sections[i])))
            return true;
    return false;
}

static void read_leaf(struct walk *w, const cJSON *item)
{
    struct str path = str_c(w->path);
    unsigned rank = 0;
    const struct setting *s = setting_find_loose(path, &rank);
    if (!s) /* a variable's name counts in whatever section it stands */
        s = setting_find(str_c(item->string), &rank);
    if (!s && str_ieq(path, STR("Urls")) && cJSON_IsString(item)) {
        read_urls(w, str_c(item->valuestring));
        return;
    }
    if (!s) {
        if (!is_foreign(path))
            draft_warn(w->d, "%s: unknown setting \"%s\" is ignored", w->where, w->path);
        return;
    }
    if (cJSON_IsNull(item))
        return;
    struct buf text = BUF_INIT(KIB(128));
    if (put_value(&text, s, item))
        draft_set(w->d, s, rank, ORIGIN_FILE, buf_str(&text));
    else
        draft_error(w->d, "%s: \"%s\" must be text, a number, true, false or a list of these", w->where, w->path);
    if (text.data)
        explicit_bzero(text.data, text.cap);
    buf_free(&text);
}

static size_t enter(struct walk *w, size_t length, const char *key)
{
    if (length && length < PATH_CAP - 1)
        w->path[length++] = ':';
    return length + str_copy(w->path + length, PATH_CAP - length, str_c(key));
}

static void read_tree(struct walk *w, const cJSON *root)
{
    struct {
        const cJSON *item;
        size_t length; /* of the path up to the object that holds item */
    } stack[LIMIT_JSON_DEPTH + 1];
    size_t depth = 1;
    stack[0].item = root->child;
    stack[0].length = 0;
    while (depth) {
        const cJSON *item = stack[depth - 1].item;
        if (!item) {
            depth--;
            continue;
        }
        stack[depth - 1].item = item->next;
        size_t length = enter(w, stack[depth - 1].length, item->string);
        if (cJSON_IsObject(item)) {
            stack[depth].item = item->child;
            stack[depth++].length = length;
        } else {
            read_leaf(w, item);
        }
    }
}

void read_json(struct draft *d, struct str text, const char *where)
{
    struct walk w = {.d = d, .where = where};
    struct arena *a = arena_new("config_file");
    struct err e;
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_from(text, 3);
    char *copy = arena_cstr(a, text);
    blank_extensions(copy, text.n);
    const cJSON *root = json_parse(a, str_n(copy, text.n), &e);
    if (!root)
        draft_error(d, "%s: %s", where, e.text);
    else if (!cJSON_IsObject(root))
        draft_error(d, "%s: must be a JSON object", where);
    else
        read_tree(&w, root);
    arena_free(a);
}
