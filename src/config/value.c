#include "config/value.h"

#define PORTS_MAX 32

static void *field_of(struct config *cfg, const struct setting *s)
{
    return (char *)cfg + s->offset;
}

static int parse_uint(const struct setting *s, struct str text, uint64_t *out)
{
    uint64_t number;
    if (str_u64(text, &number) < 0 || number < s->min || number > s->max)
        return -1;
    *out = number;
    return 0;
}

static int parse_bool(struct str text, bool *out)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_ieq(text, str_c(words[i]))) {
            *out = i & 1;
            return 0;
        }
    return -1;
}

/* The factor of a unit as people write it, 0 when it is none. Sizes count 1024 with or without the i. */
static uint64_t factor_of(const struct setting *s, struct str unit)
{
    if (unit.n == 0)
        return s->type == SETTING_SIZE ? 1 : s->unit;
    if (s->type == SETTING_DURATION) {
        for (const struct setting_scale *scale = setting_durations;; scale++)
            if (str_ieq(unit, str_c(scale->unit)))
                return scale->factor;
            else if (scale->factor == 1)
                return 0;
    }
    for (const struct setting_scale *scale = setting_sizes;; scale++) {
        struct str full = str_c(scale->unit), letter = str_n(full.p, 1);
        const char both[2] = {full.p[0], 'B'};
        if (str_ieq(unit, full) || str_ieq(unit, letter) || (full.n > 1 && str_ieq(unit, str_n(both, 2))))
            return scale->factor;
        if (scale->factor == 1)
            return 0;
    }
}

static int parse_scaled(const struct setting *s, struct str text, uint64_t *out)
{
    size_t digits = 0;
    uint64_t number, factor;
    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    factor = factor_of(s, str_trim(str_from(text, digits)));
    if (str_u64(str_n(text.p, digits), &number) < 0 || !factor || __builtin_mul_overflow(number, factor, &number) ||
        number < s->min || number > s->max)
        return -1;
    *out = number;
    return 0;
}

/* The index of the choice that text or one of its synonyms names, -1 when none does. */
static int choice_index(const char *choices, struct str text)
{
    struct str rest = str_c(choices), choice, name;
    for (int i = 0; str_split(&rest, '|', &choice); i++)
        while (str_split(&choice, '=', &name))
            if (str_ieq(name, text))
                return i;
    return -1;
}

static int parse_enum(const struct setting *s, struct str text, int *out)
{
    int index = choice_index(s->choices, text);
    if (index < 0)
        return -1;
    *out = index;
    return 0;
}

static int parse_set(const struct setting *s, struct str text, uint64_t *out)
{
    struct str piece;
    uint64_t bits = 0;
    while (str_split(&text, ',', &piece)) {
        piece = str_trim(piece);
        int index = choice_index(s->choices, piece);
        if (index < 0 && piece.n)
            return -1;
        if (piece.n)
            bits |= UINT64_C(1) << index;
    }
    *out = bits;
    return 0;
}

static size_t pieces_of(struct str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == ',';
    return n;
}

/* "HTTP://Example.org:80/path" -> "http://example.org", as browsers write the Origin header; NULL when it is none. */
static char *origin_of(struct arena *a, struct str text)
{
    ptrdiff_t colon = str_find(text, STR("://"));
    if (str_eqc(text, "*"))
        return arena_cstr(a, text);
    if (colon <= 0 || str_find_char(text, ' ') >= 0 || str_find_char(text, '@') >= 0 || str_find_char(text, '*') >= 0)
        return NULL;
    struct str host = str_from(text, (size_t)colon + 3);
    ptrdiff_t slash = str_find_char(host, '/');
    if (slash >= 0)
        host.n = (size_t)slash;
    if (host.n == 0 || host.p[0] == ':')
        return NULL;
    struct str origin = str_n(text.p, (size_t)(host.p - text.p) + host.n);
    struct str scheme = str_n(text.p, (size_t)colon);
    if (str_ieq(scheme, STR("http")) && str_ends(origin, STR(":80")))
        origin.n -= 3;
    if (str_ieq(scheme, STR("https")) && str_ends(origin, STR(":443")))
        origin.n -= 4;
    char *copy = arena_cstr(a, origin);
    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 32);
    return copy;
}

static int parse_list(const struct setting *s, struct str text, struct config_list *out, struct arena *a)
{
    struct config_list list = {.items = arena_alloc(a, pieces_of(text) * sizeof(char *))};
    struct str piece;
    while (str_split(&text, ',', &piece)) {
        piece = str_trim(piece);
        if (piece.n == 0)
            continue;
        char *item = s->type == SETTING_ORIGINS ? origin_of(a, piece) : arena_cstr(a, piece);
        if (!item)
            return -1;
        list.items[list.count++] = item;
    }
    *out = list;
    return 0;
}

static bool has_port(const struct config_ports *ports, uint64_t port)
{
    for (size_t i = 0; i < ports->count; i++)
        if (ports->items[i] == port)
            return true;
    return false;
}

static int parse_ports(struct str text, struct config_ports *out, struct arena *a)
{
    struct config_ports ports = {.items = arena_alloc(a, PORTS_MAX * sizeof(uint16_t))};
    struct str piece;
    while (str_split(&text, ',', &piece)) {
        uint64_t port;
        if (str_u64(str_trim(piece), &port) < 0 || port > UINT16_MAX)
            return -1;
        if (port && has_port(&ports, port))
            continue;
        if (ports.count == PORTS_MAX)
            return -1;
        ports.items[ports.count++] = (uint16_t)port;
    }
    *out = ports;
    return 0;
}

struct str url_check(struct str text, const char *schemes, bool scheme_optional)
{
    ptrdiff_t colon = str_find(text, STR("://"));
    struct str rest = colon < 0 ? text : str_from(text, (size_t)colon + 3);
    if (colon < 0 ? !scheme_optional : choice_index(schemes, str_n(text.p, (size_t)colon)) < 0)
        return STR_NONE;
    if (str_find_char(text, ' ') >= 0 || str_find_char(text, '?') >= 0 || str_find_char(text, '#') >= 0)
        return STR_NONE;
    ptrdiff_t slash = str_find_char(rest, '/');
    struct str authority = slash < 0 ? rest : str_n(rest.p, (size_t)slash);
    ptrdiff_t at = str_find_char(authority, '@');
    struct str host = str_from(authority, (size_t)(at + 1));
    if (host.n == 0 || host.p[0] == ':')
        return STR_NONE;
    while (text.p[text.n - 1] == '/')
        text.n--;
    return text;
}

static int parse_url(const struct setting *s, struct str text, char **out, struct arena *a)
{
    struct str url = url_check(text, s->choices, s->flags & SETTING_NO_SCHEME);
    if (!url.p)
        return -1;
    *out = arena_cstr(a, url);
    return 0;
}

static int parse_typed(const struct setting *s, struct str text, void *field, struct arena *a)
{
    switch (s->type) {
    case SETTING_STRING:
        *(char **)field = arena_cstr(a, text);
        return 0;
    case SETTING_UINT:
        return parse_uint(s, text, field);
    case SETTING_BOOL:
        return parse_bool(text, field);
    case SETTING_DURATION:
    case SETTING_SIZE:
        return parse_scaled(s, text, field);
    case SETTING_ENUM:
        return parse_enum(s, text, field);
    case SETTING_SET:
        return parse_set(s, text, field);
    case SETTING_LIST:
    case SETTING_ORIGINS:
        return parse_list(s, text, field, a);
    case SETTING_PORTS:
        return parse_ports(text, field, a);
    case SETTING_URL:
        return parse_url(s, text, field, a);
    case SETTING_TRUST:
        return trust_parse(a, text, field, NULL);
    case SETTING_HEADING:
    case SETTING_UPSTREAMS:
        break;
    }
    return -1;
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return true;
    return false;
}

int value_parse(const struct setting *s, struct str text, struct config *cfg, struct arena *a, struct err *e)
{
    if (s->type == SETTING_UPSTREAMS)
        return upstreams_parse(text, field_of(cfg, s), a, e);
    if (has_control(text))
        return err_set(e, ERR_INVALID_REQUEST, "must not contain control characters");
    if (parse_typed(s, text, field_of(cfg, s), a) == 0)
        return 0;
    struct buf allowed = BUF_INIT(1024);
    setting_allowed(&allowed, s);
    err_set(e, ERR_INVALID_REQUEST, "must be %s", buf_cstr(&allowed));
    buf_free(&allowed);
    return -1;
}

bool value_is_private(const struct setting *s, struct str text)
{
    return (s->flags & SETTING_SECRET) || (s->type == SETTING_URL && str_find_char(text, '@') >= 0);
}

static void put_string(struct buf *out, const struct setting *s, const char *text)
{
    struct str value = str_c(text);
    if (!text || (s->flags & SETTING_SECRET)) {
        buf_str_add(out, text ? STR("set") : STR("unset"));
        return;
    }
    if (value_is_private(s, value)) {
        ptrdiff_t colon = str_find(value, STR("://"));
        const char *host = memrchr(value.p, '@', value.n);
        buf_add(out, value.p, colon < 0 ? 0 : (size_t)colon + 3);
        buf_lit(out, "***");
        value = str_from(value, (size_t)(host - value.p));
    }
    buf_str_add(out, value);
}

static void put_list(struct buf *out, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        buf_addf(out, "%s%s", i ? "," : "", list->items[i]);
    if (!list->count)
        buf_lit(out, "unset");
}

static void put_set(struct buf *out, const struct setting *s, uint64_t bits)
{
    struct str choice;
    const char *comma = "";
    for (size_t i = 0; (choice = setting_choice(s->choices, i)).p; i++)
        if (bits >> i & 1) {
            buf_addf(out, "%s%.*s", comma, STR_ARG(choice));
            comma = ",";
        }
    if (!bits)
        buf_lit(out, "unset");
}

static void put_trust(struct buf *out, const struct trust_proxy *trust)
{
    if (trust->hops)
        buf_add_u64(out, trust->hops);
    else if (trust->count)
        buf_addf(out, "%zu network%s", trust->count, trust->count == 1 ? "" : "s");
    else
        buf_lit(out, "false");
}

static void put_upstreams(struct buf *out, const struct config_upstreams *upstreams)
{
    for (size_t i = 0; i < upstreams->count; i++)
        buf_addf(out, "%s%s", i ? "," : "", upstreams->items[i].name);
    if (!upstreams->count)
        buf_lit(out, "unset");
}

void value_put(struct buf *out, const struct setting *s, const struct config *cfg)
{
    const void *field = (const char *)cfg + s->offset;
    const struct config_ports *ports = field;
    const int *index = field;
    switch (s->type) {
    case SETTING_HEADING:
        break;
    case SETTING_STRING:
    case SETTING_URL:
        put_string(out, s, *(char *const *)field);
        break;
    case SETTING_BOOL:
        buf_str_add(out, *(const bool *)field ? STR("true") : STR("false"));
        break;
    case SETTING_UINT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        setting_put_number(out, s, *(const uint64_t *)field);
        break;
    case SETTING_ENUM:
        buf_str_add(out, setting_choice(s->choices, (size_t)*index));
        break;
    case SETTING_SET:
        put_set(out, s, *(const uint64_t *)field);
        break;
    case SETTING_LIST:
    case SETTING_ORIGINS:
        put_list(out, field);
        break;
    case SETTING_PORTS:
        for (size_t i = 0; i < ports->count; i++)
            buf_addf(out, "%s%u", i ? "," : "", ports->items[i]);
        break;
    case SETTING_TRUST:
        put_trust(out, field);
        break;
    case SETTING_UPSTREAMS:
        put_upstreams(out, field);
        break;
    }
}
