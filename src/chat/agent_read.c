/* An agent as a request has it: what it must have, and how long it may be. */
#include "chat/agent_impl.h"

#include "base/utf8.h"

#include <math.h>

struct reading {
    const char *verb; /* of the error's text */
    struct arena *arena;
    struct err *e;
};

struct field {
    const char *key, *alias;
    enum agent_set bit;
    size_t at;    /* in struct agent */
    size_t units; /* at most, as JavaScript counts; 0: any */
    const char *too_long;
};

static const struct field fields[] = {
    {"name", NULL, AGENT_SET_NAME, offsetof(struct agent, name), 50, "50 characters"},
    {"companyName", "company", AGENT_SET_COMPANY, offsetof(struct agent, company), 100, "100 characters"},
    {"personality", NULL, AGENT_SET_PERSONALITY, offsetof(struct agent, personality), 0, "32 KiB"},
    {"companyInfo", NULL, AGENT_SET_INFO, offsetof(struct agent, info), 0, "32 KiB"},
};

static int required(const struct reading *r)
{
    return err_set(r->e, ERR_INVALID_REQUEST, "Please provide all required fields");
}

static int refuse(const struct reading *r, const char *key, const char *what)
{
    return err_set(r->e, ERR_INVALID_REQUEST, "Error %s agent: %s %s", r->verb, key, what);
}

/* The member, NULL when absent. null means nothing where there must be something. */
static const cJSON *member(const cJSON *body, const char *key)
{
    const cJSON *value = key ? json_get(body, key) : NULL;
    return value && !cJSON_IsNull(value) ? value : NULL;
}

static int read_text(const struct reading *r, const char *key, const cJSON *value, struct str *out)
{
    if (!cJSON_IsString(value))
        return refuse(r, key, "must be a string");
    *out = str_trim(str_c(value->valuestring));
    return out->n > LIMIT_AGENT_TEXT ? refuse(r, key, "cannot be longer than 32 KiB") : 0;
}

/* ---- what every agent has ---- */

static int read_field(const struct reading *r, const cJSON *body, const struct field *f, struct str *out)
{
    const cJSON *value = member(body, f->key);
    value = value ? value : member(body, f->alias);
    if (!value)
        return 0;
    if (read_text(r, f->key, value, out) < 0)
        return -1;
    if (f->units && utf8_utf16_len(*out) > f->units)
        return err_set(r->e, ERR_INVALID_REQUEST, "Error %s agent: %s cannot be longer than %s", r->verb, f->key,
                       f->too_long);
    return out->n ? 1 : required(r);
}

static int put_prompts(const struct reading *r, const cJSON *value, struct jw *w)
{
    const cJSON *one;
    size_t n = 0;
    jw_arr(w);
    cJSON_ArrayForEach(one, value)
    {
        if (!cJSON_IsString(one))
            return refuse(r, "prompts", "must be strings");
        struct str text = str_trim(str_c(one->valuestring));
        if (text.n > LIMIT_AGENT_PROMPT)
            return refuse(r, "prompts", "cannot be longer than 4 KiB each");
        if (text.n && ++n > LIMIT_AGENT_PROMPTS)
            return refuse(r, "prompts", "cannot be more than 64");
        if (text.n)
            jw_str(w, text);
    }
    jw_end_arr(w);
    return 0;
}

static int read_prompts(const struct reading *r, const cJSON *body, struct agent *out, unsigned *set)
{
    const cJSON *value = member(body, "prompts");
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&text);
    if (!value)
        return 0;
    if (!cJSON_IsArray(value))
        return refuse(r, "prompts", "must be a list of strings");
    int result = put_prompts(r, value, &w);
    out->prompts = arena_str(r->arena, buf_str(&text));
    buf_free(&text);
    *set |= AGENT_SET_PROMPTS;
    return result;
}

/* ---- what it may have ---- */

bool agent_is_style(struct str style)
{
    static const char *const styles[] = {"formal", "casual", "friendly", "professional"};
    for (size_t i = 0; i < COUNT(styles); i++)
        if (str_eqc(style, styles[i]))
            return true;
    return false;
}

static int read_text_option(const struct reading *r, const char *key, const cJSON *value, struct jw *w)
{
    struct str text;
    if (read_text(r, key, value, &text) < 0)
        return -1;
    if (strcmp(key, "responseStyle") == 0 && text.n && !agent_is_style(text))
        return refuse(r, key, "must be one of: formal, casual, friendly, professional");
    if (strcmp(key, "voice") == 0 && text.n > AGENT_VOICE)
        return refuse(r, key, "cannot be longer than 128 bytes");
    jw_key(w, key);
    if (text.n)
        jw_str(w, text);
    else
        jw_null(w);
    return 0;
}

static int read_number_option(const struct reading *r, const char *key, const cJSON *value, struct jw *w)
{
    bool tokens = strcmp(key, "maxTokens") == 0;
    double number = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    if (tokens && !(number >= 1 && number <= AGENT_TOKENS && number == floor(number)))
        return refuse(r, key, "must be an integer from 1 to 4096");
    if (!tokens && !(number >= 0 && number <= AGENT_TEMPERATURE))
        return refuse(r, key, "must be a number from 0 to 2");
    jw_knum(w, key, number);
    return 0;
}

static int put_options(const struct reading *r, const cJSON *body, struct jw *w)
{
    jw_obj(w);
    for (enum agent_option i = 0; i < AGENT_OPTIONS; i++) {
        const char *key = agent_option_name(i);
        const cJSON *value = i == AGENT_OPTION_AVATAR ? NULL : json_get(body, key);
        bool number = i == AGENT_OPTION_TOKENS || i == AGENT_OPTION_TEMPERATURE;
        if (!value)
            continue;
        if (cJSON_IsNull(value))
            jw_knull(w, key);
        else if ((number ? read_number_option(r, key, value, w) : read_text_option(r, key, value, w)) < 0)
            return -1;
    }
    jw_end_obj(w);
    return 0;
}

static int read_options(const struct reading *r, const cJSON *body, struct agent *out, unsigned *set)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&text);
    int result = put_options(r, body, &w);
    out->meta = arena_str(r->arena, buf_str(&text));
    buf_free(&text);
    if (!str_eqc(out->meta, "{}"))
        *set |= AGENT_SET_META;
    return result;
}

/* ---- presets ---- */

/* Letters and digits count, in any case: "pizza-hut" is "Pizza Hut". */
static char next_significant(struct str *s)
{
    while (s->n) {
        char c = s->p[0];
        *s = str_from(*s, 1);
        if (c >= 'A' && c <= 'Z')
            return (char)(c | 0x20);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            return c;
    }
    return 0;
}

static bool names(struct str text, const char *name)
{
    struct str other = str_c(name);
    bool some = false;
    for (;;) {
        char a = next_significant(&text), b = next_significant(&other);
        if (a != b || !a)
            return a == b && some;
        some = true;
    }
}

static const struct company_preset *find_preset(struct str name)
{
    size_t n;
    const struct company_preset *presets = company_presets(&n);
    for (size_t i = 0; i < n; i++)
        if (names(name, presets[i].company))
            return &presets[i];
    return NULL;
}

const struct company_preset *agent_preset(const cJSON *body)
{
    const cJSON *preset = member(body, "preset");
    struct str name = json_str(body, preset ? "preset" : "company");
    return name.p ? find_preset(name) : NULL;
}

static void fill(const struct company_preset *preset, struct agent *out)
{
    const char *const texts[] = {preset->name, preset->company, preset->personality, preset->info};
    for (size_t i = 0; i < COUNT(fields); i++) {
        struct str *to = (struct str *)(void *)((char *)out + fields[i].at);
        if (!to->n && texts[i])
            *to = str_c(texts[i]);
    }
}

/* ---- all of it ---- */

static int read_fields(const struct reading *r, const cJSON *body, struct agent *out, unsigned *set)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        int got = read_field(r, body, &fields[i], (struct str *)(void *)((char *)out + fields[i].at));
        if (got < 0)
            return -1;
        *set |= got ? (unsigned)fields[i].bit : 0;
    }
    return 0;
}

static int fill_whole(const struct reading *r, const cJSON *body, struct agent *out)
{
    const struct company_preset *preset = agent_preset(body);
    if (!preset && member(body, "preset"))
        return refuse(r, "preset", "is none of /api/agents/presets");
    if (preset)
        fill(preset, out);
    return out->name.n && out->company.n && out->personality.n && out->info.n ? 0 : required(r);
}

int agent_read(const cJSON *body, bool whole, struct arena *arena, struct agent *out, unsigned *set, struct err *e)
{
    struct reading r = {whole ? "creating" : "updating", arena, e};
    struct agent read = {.prompts = STR("[]"), .meta = STR("{}")};
    unsigned members = 0;
    if (!cJSON_IsObject(body))
        return required(&r);
    if (read_fields(&r, body, &read, &members) < 0 || (whole && fill_whole(&r, body, &read) < 0) ||
        read_prompts(&r, body, &read, &members) < 0 || read_options(&r, body, &read, &members) < 0)
        return -1;
    *out = read;
    if (set)
        *set = members;
    return 0;
}
