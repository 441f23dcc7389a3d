#include "config/config.h"

#include "config/draft.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX MIB(1)

struct config_values {
    struct arena *arena; /* holds the config, this, and all it points to */
    struct draft_value *given;
};

static struct str fallback_of(const struct setting *s, bool production)
{
    return str_c(production && s->production ? s->production : s->fallback);
}

static void report_wrong(struct draft *d, const struct setting *s, const struct draft_value *given, const struct err *e)
{
    const char *name = given->rank < COUNT(s->names) ? s->names[given->rank] : s->names[0];
    struct str text = str_c(given->text);
    if (value_is_private(s, text))
        draft_error(d, "%s (%s): %s", name, origin_name(given->origin), e->text);
    else
        draft_error(d, "%s=%.*s (%s): %s", name, (int)MIN(text.n, 100u), text.p, origin_name(given->origin), e->text);
}

static void parse_row(struct draft *d, const struct setting *s, struct config *cfg, struct arena *a)
{
    const struct draft_value *given = &d->values[setting_index(s)];
    bool is_given = given->text && *given->text;
    struct str text = is_given ? str_c(given->text) : fallback_of(s, cfg->production);
    struct err e;
    if (s->type == SETTING_HEADING || !text.n)
        return;
    if (value_parse(s, text, cfg, a, &e) == 0)
        return;
    if (!is_given)
        die("the default of %s is wrong: %s", s->names[0], e.text);
    report_wrong(d, s, given, &e);
}

static bool is_given(const struct draft *d, const char *name)
{
    const struct draft_value *given = &d->values[setting_index(setting_find(str_c(name), NULL))];
    return given->text && *given->text;
}

static void derive_models(const struct draft *d, struct config *cfg)
{
    const struct {
        const char *name;
        char **model;
    } surfaces[] = {{"AIMCS_MODEL", &cfg->aimcs_model},
                    {"OPENAI_CHAT_MODEL", &cfg->openai_chat_model},
                    {"CHAT_MODEL", &cfg->chat_model},
                    {"CARE_MODEL", &cfg->care_model},
                    {"PICHAT_MODEL", &cfg->pichat_model}};
    if (cfg->azure_openai_deployment && !is_given(d, "PICHAT_MODEL"))
        cfg->pichat_model = cfg->azure_openai_deployment;
    for (size_t i = 0; cfg->llm_model && i < COUNT(surfaces); i++)
        if (!is_given(d, surfaces[i].name))
            *surfaces[i].model = cfg->llm_model;
}

/* A key belongs to the address it was given for: an upstream with an address of its own never inherits one. */
static void derive_upstreams(struct draft *d, struct config *cfg)
{
    for (size_t i = 0; i < cfg->llm_upstreams.count; i++) {
        struct config_upstream *up = &cfg->llm_upstreams.items[i];
        bool azure = up->provider == PROVIDER_AZURE;
        if (!up->base_url) {
            up->base_url = azure ? cfg->azure_openai_endpoint : cfg->openai_base_url;
            if (!up->api_key)
                up->api_key = azure ? cfg->azure_openai_api_key : cfg->openai_api_key;
        }
        if (!up->base_url)
            draft_error(d, "LLM_UPSTREAMS: \"%s\" needs a base_url, or AZURE_OPENAI_ENDPOINT", up->name);
        if (azure && !up->deployment)
            up->deployment = cfg->azure_openai_deployment;
        if (azure && !up->api_version)
            up->api_version = cfg->azure_openai_api_version;
    }
}

static void derive_origins(struct config *cfg)
{
    struct config_list *lists[] = {&cfg->frontend_url, &cfg->cors_origins};
    for (size_t i = 0; i < COUNT(lists); i++) {
        size_t kept = 0;
        for (size_t k = 0; k < lists[i]->count; k++) {
            if (strcmp(lists[i]->items[k], "*") == 0)
                cfg->cors_any = true;
            else
                lists[i]->items[kept++] = lists[i]->items[k];
        }
        lists[i]->count = kept;
    }
}

static void check_speech(struct draft *d, const struct config *cfg)
{
    bool azure = cfg->azure_openai_endpoint && cfg->azure_openai_api_key;
    if (!azure && (cfg->tts_provider == SPEECH_BY_AZURE_OPENAI || cfg->stt_provider == SPEECH_BY_AZURE_OPENAI))
        draft_error(d, "TTS_PROVIDER and STT_PROVIDER: azure_openai needs AZURE_OPENAI_ENDPOINT and "
                       "AZURE_OPENAI_API_KEY");
    if (cfg->stt_provider == SPEECH_BY_AZURE_OPENAI && !cfg->azure_openai_stt_deployment)
        draft_error(d, "STT_PROVIDER=azure_openai needs AZURE_OPENAI_STT_DEPLOYMENT");
    if (!cfg->azure_speech_key &&
        (cfg->tts_provider == SPEECH_BY_AZURE_SPEECH || cfg->stt_provider == SPEECH_BY_AZURE_SPEECH))
        draft_error(d, "TTS_PROVIDER and STT_PROVIDER: azure_speech needs AZURE_SPEECH_KEY");
    if (cfg->realtime_provider == REALTIME_AZURE && !(azure && cfg->azure_openai_realtime_deployment))
        draft_error(d, "REALTIME_PROVIDER=azure needs AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and "
                       "AZURE_OPENAI_REALTIME_DEPLOYMENT");
    if (cfg->voice_max_silence_ms < cfg->voice_silence_ms)
        draft_error(d, "VOICE_MAX_SILENCE is shorter than VOICE_SILENCE");
}

static void check_together(struct draft *d, const struct config *cfg)
{
    if (!cfg->tls_cert != !cfg->tls_key)
        draft_error(d, "%s is set but %s is not: TLS needs both", cfg->tls_cert ? "TLS_CERT" : "TLS_KEY",
                    cfg->tls_cert ? "TLS_KEY" : "TLS_CERT");
    if (cfg->llm_provider == PROVIDER_AZURE && !cfg->llm_upstreams.count &&
        !(cfg->azure_openai_endpoint && cfg->azure_openai_api_key))
        draft_error(d, "LLM_PROVIDER=azure needs AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY");
    if (cfg->llm_provider == PROVIDER_OPENAI && !cfg->llm_upstreams.count && !cfg->openai_api_key &&
        !is_given(d, "OPENAI_BASE_URL"))
        draft_warn(d, "LLM_PROVIDER=openai without OPENAI_API_KEY: api.openai.com will refuse");
    check_speech(d, cfg);
    for (size_t i = 0; i < settings_count; i++) {
        struct str text = str_c(d->values[i].text);
        bool sample = text.n > 5 && str_ieq(str_n(text.p, 4), STR("your")) && (text.p[4] == '-' || text.p[4] == '_');
        if ((settings[i].flags & SETTING_SECRET) && sample)
            draft_warn(d, "%s still holds the sample value of the documents", settings[i].names[0]);
    }
}

static void wipe_text(void *text)
{
    explicit_bzero(text, strlen(text));
}

static void own_secrets(struct arena *a, const struct config *cfg)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (settings[i].type != SETTING_STRING || !(settings[i].flags & SETTING_SECRET))
            continue;
        char *secret = *(char *const *)(const void *)((const char *)cfg + settings[i].offset);
        if (secret)
            arena_own(a, secret, wipe_text);
    }
    for (size_t i = 0; i < cfg->llm_upstreams.count; i++)
        if (cfg->llm_upstreams.items[i].api_key)
            arena_own(a, cfg->llm_upstreams.items[i].api_key, wipe_text);
}

static void keep_warnings(const struct draft *d, struct config *cfg, struct arena *a)
{
    struct str rest = buf_str(&d->warnings), line;
    size_t lines = 0;
    for (size_t i = 0; i < rest.n; i++)
        lines += rest.p[i] == '\n';
    cfg->warnings.items = arena_alloc(a, (lines + 1) * sizeof(char *));
    while (str_split(&rest, '\n', &line))
        if (line.n)
            cfg->warnings.items[cfg->warnings.count++] = arena_cstr(a, line);
}

struct config *draft_finish(struct draft *d)
{
    struct arena *a = arena_new("config");
    struct config *cfg = arena_zalloc(a, sizeof(*cfg));
    const struct setting *environment = setting_find(STR("ENVIRONMENT"), NULL);
    parse_row(d, environment, cfg, a);
    cfg->production = cfg->environment == ENVIRONMENT_PRODUCTION;
    for (size_t i = 0; i < settings_count; i++)
        if (&settings[i] != environment)
            parse_row(d, &settings[i], cfg, a);
    own_secrets(a, cfg);
    derive_models(d, cfg);
    derive_upstreams(d, cfg);
    derive_origins(cfg);
    if (cfg->access_log_file && strcmp(cfg->access_log_file, "-") == 0)
        cfg->access_log_file = NULL;
    check_together(d, cfg);
    keep_warnings(d, cfg, a);
    if (d->errors.len) {
        arena_free(a);
        return NULL;
    }
    cfg->values = arena_alloc(a, sizeof(*cfg->values));
    *cfg->values = (struct config_values){.arena = a, .given = d->values};
    d->values = NULL;
    return cfg;
}

struct config *config_free(struct config *cfg)
{
    if (!cfg)
        return NULL;
    draft_free(&(struct draft){.values = cfg->values->given});
    arena_free(cfg->values->arena);
    return NULL;
}

enum config_origin config_origin(const struct config *cfg, const char *name)
{
    const struct setting *s = setting_find(str_c(name), NULL);
    const struct draft_value *given = s ? &cfg->values->given[setting_index(s)] : NULL;
    return given && given->text && *given->text ? given->origin : ORIGIN_DEFAULT;
}

static int read_whole(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_reserve(out, KIB(4));
        if (!room) {
            errno = EFBIG;
            return -1;
        }
        ssize_t n = read(fd, room, KIB(4));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        buf_commit(out, (size_t)n);
    }
}

/* Reads the file and hands its text to one of the readers. */
static void with_file(struct draft *d, const char *path, bool may_be_missing,
                      void (*reader)(struct draft *d, struct str text, const char *where))
{
    struct buf text = BUF_INIT(FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && may_be_missing && (errno == ENOENT || errno == ENOTDIR))
        return;
    if (fd < 0 || read_whole(fd, &text) < 0)
        draft_error(d, "%s cannot be read: %s", path, errno == EFBIG ? "larger than 1 MiB" : strerrordesc_np(errno));
    else
        reader(d, buf_str(&text), path);
    if (fd >= 0)
        close(fd);
    if (text.data)
        explicit_bzero(text.data, text.cap);
    buf_free(&text);
}

static void read_sources(struct draft *d, const struct config_source *src)
{
    read_args(d, src->argc, src->argv, src->own_flags);
    read_environment(d, src->envp);
    with_file(d, d->env_file ? d->env_file : src->env_file ? src->env_file : ".env", !d->env_file, read_dotenv);
    if (d->config_file)
        with_file(d, d->config_file, false, read_json);
}

static struct config *finish(struct draft *d, struct buf *problems, struct err *e)
{
    struct config *cfg = draft_finish(d);
    if (!cfg) {
        struct str lines = buf_str(&d->errors), first = STR_NONE;
        if (problems)
            buf_str_add(problems, lines);
        str_split(&lines, '\n', &first);
        err_set(e, ERR_INVALID_REQUEST, "%.*s", STR_ARG(first));
    }
    draft_free(d);
    return cfg;
}

struct config *config_load(const struct config_source *src, struct buf *problems, struct err *e)
{
    struct draft d;
    draft_init(&d);
    read_sources(&d, src);
    return finish(&d, problems, e);
}

static bool same_text(const char *a, const char *b)
{
    return str_eq(str_c(a), str_c(b));
}

struct config *config_reload(const struct config *old, const struct config_source *src, struct buf *problems,
                             struct err *e)
{
    struct draft d;
    draft_init(&d);
    read_sources(&d, src);
    for (size_t i = 0; i < settings_count; i++) {
        const struct draft_value *was = &old->values->given[i];
        if ((settings[i].flags & SETTING_RELOADS) || settings[i].type == SETTING_HEADING)
            continue;
        if (!same_text(was->text, d.values[i].text))
            draft_warn(&d, "%s changed: the new value counts after a restart", settings[i].names[0]);
        if (d.values[i].text)
            wipe_text(d.values[i].text);
        free(d.values[i].text);
        d.values[i] = *was;
        d.values[i].text = was->text ? str_dup(str_c(was->text)) : NULL;
    }
    return finish(&d, problems, e);
}
