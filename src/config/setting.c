#include "config/setting.h"

const struct setting *setting_find(struct str name, unsigned *rank)
{
    for (size_t i = 0; i < settings_count; i++)
        for (unsigned k = 0; k < COUNT(settings[i].names) && settings[i].names[k]; k++) {
            if (!str_eqc(name, settings[i].names[k]))
                continue;
            if (rank)
                *rank = k;
            return &settings[i];
        }
    return NULL;
}

static bool is_filler(char c)
{
    return c == '_' || c == '-' || c == ' ' || c == ':' || c == '.';
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static bool loosely_equal(struct str given, const char *name)
{
    size_t i = 0;
    for (;;) {
        while (i < given.n && is_filler(given.p[i]))
            i++;
        while (*name && is_filler(*name))
            name++;
        if (i == given.n || !*name)
            return i == given.n && !*name;
        if (upper(given.p[i++]) != upper(*name++))
            return false;
    }
}

const struct setting *setting_find_loose(struct str name, unsigned *rank)
{
    for (size_t i = 0; i < settings_count; i++)
        for (unsigned k = 0; k < COUNT(settings[i].names) && settings[i].names[k]; k++) {
            if (!loosely_equal(name, settings[i].names[k]))
                continue;
            if (rank)
                *rank = k;
            return &settings[i];
        }
    return NULL;
}

static bool same_letter(char a, char b)
{
    return upper(a) == upper(b) || (is_filler(a) && is_filler(b));
}

/* Edits (insert, drop, change, swap neighbours) that make b of a; both shorter than SETTING_FLAG_MAX. */
static size_t distance(struct str a, struct str b)
{
    size_t rows[3][SETTING_FLAG_MAX];
    for (size_t k = 0; k <= b.n; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            char x = a.p[i - 1], y = b.p[k - 1];
            row[k] = MIN(above[k - 1] + !same_letter(x, y), MIN(above[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && same_letter(x, b.p[k - 2]) && same_letter(a.p[i - 2], y))
                row[k] = MIN(row[k], two_above[k - 2] + 1);
        }
    }
    return rows[a.n % 3][b.n];
}

const struct setting *setting_nearest(struct str name)
{
    const struct setting *best = NULL;
    size_t least = MAX(name.n / 3, 1) + 1;
    if (name.n == 0 || name.n >= SETTING_FLAG_MAX)
        return NULL;
    for (size_t i = 0; i < settings_count; i++) {
        struct str known = str_c(settings[i].names[0]);
        size_t d = known.n && known.n < SETTING_FLAG_MAX ? distance(name, known) : least;
        if (d < least) {
            least = d;
            best = &settings[i];
        }
    }
    return best;
}

void setting_flag(char out[SETTING_FLAG_MAX], const char *name)
{
    size_t n = 2;
    out[0] = out[1] = '-';
    for (; *name && n < SETTING_FLAG_MAX - 1; name++)
        out[n++] = *name == '_' ? '-' : (char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name);
    out[n] = 0;
}

struct str setting_choice(const char *choices, size_t n)
{
    struct str rest = str_c(choices), choice;
    while (str_split(&rest, '|', &choice))
        if (n-- == 0) {
            ptrdiff_t synonym = str_find_char(choice, '=');
            return synonym < 0 ? choice : str_n(choice.p, (size_t)synonym);
        }
    return STR_NONE;
}

static void put_range(struct buf *out, const struct setting *s)
{
    setting_put_number(out, s, s->min);
    buf_lit(out, " to ");
    setting_put_number(out, s, s->max);
}

static void put_choices(struct buf *out, const char *choices)
{
    struct str choice;
    for (size_t n = 0; (choice = setting_choice(choices, n)).p; n++)
        buf_addf(out, "%s%.*s", n ? ", " : "", STR_ARG(choice));
}

static void put_scaled(struct buf *out, uint64_t number, const struct setting_scale *scale)
{
    while (scale->factor > 1 && (number < scale->factor || number % scale->factor))
        scale++;
    buf_addf(out, "%llu%s", (unsigned long long)(number / scale->factor), scale->unit);
}

/* Largest first, so that the first unit that divides a number is the one to print it in. */
const struct setting_scale setting_durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
const struct setting_scale setting_sizes[] = {{"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}};

void setting_put_number(struct buf *out, const struct setting *s, uint64_t number)
{
    if (number == 0 || s->type == SETTING_UINT)
        buf_add_u64(out, number);
    else
        put_scaled(out, number, s->type == SETTING_SIZE ? setting_sizes : setting_durations);
}

void setting_allowed(struct buf *out, const struct setting *s)
{
    switch (s->type) {
    case SETTING_HEADING:
    case SETTING_STRING:
        buf_lit(out, "text without control characters");
        break;
    case SETTING_UINT:
        buf_lit(out, "a whole number from ");
        put_range(out, s);
        break;
    case SETTING_BOOL:
        buf_lit(out, "true or false (also 1 and 0, yes and no, on and off)");
        break;
    case SETTING_DURATION:
        buf_lit(out, "a duration from ");
        put_range(out, s);
        buf_addf(out, ", such as 500ms, 30s, 5m, 2h or 7d; a plain number counts %s",
                 s->unit == 1 ? "milliseconds" : "seconds");
        break;
    case SETTING_SIZE:
        buf_lit(out, "a size from ");
        put_range(out, s);
        buf_lit(out, ", such as 64KiB or 5MB (1024 each); a plain number counts bytes");
        break;
    case SETTING_ENUM:
        buf_lit(out, "one of ");
        put_choices(out, s->choices);
        break;
    case SETTING_SET:
        buf_lit(out, "a comma list of ");
        put_choices(out, s->choices);
        break;
    case SETTING_LIST:
        buf_lit(out, "a comma list");
        break;
    case SETTING_ORIGINS:
        buf_lit(out, "a comma list of origins such as https://example.org or http://localhost:3000, or *");
        break;
    case SETTING_PORTS:
        buf_lit(out, "a comma list of up to 32 ports, each from 0 to 65535");
        break;
    case SETTING_URL:
        buf_lit(out, "a URL without query; scheme one of ");
        put_choices(out, s->choices);
        break;
    case SETTING_TRUST:
        buf_lit(out, "false, a number of proxies from 1 to 16, or a comma list of addresses, networks (10.0.0.0/8), "
                     "loopback, linklocal, uniquelocal");
        break;
    case SETTING_UPSTREAMS:
        buf_lit(out, "a JSON array of objects with name, provider, base_url, api_key, model, deployment, api_version, "
                     "weight");
        break;
    }
}
