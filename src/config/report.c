/* What people read: `parley check`, --help and docs/CONFIGURATION.md, all from the table. */
#include "config/config.h"

#include "config/draft.h"
#include "config/value.h"

#define PRINT_NAME_WIDTH 36
#define HELP_WIDTH       100

int config_print(struct buf *out, const struct config *cfg)
{
    struct buf value = BUF_INIT(KIB(128));
    int rc = 0;
    for (size_t i = 0; i < settings_count && rc == 0; i++) {
        const struct setting *s = &settings[i];
        if (s->type == SETTING_HEADING) {
            rc = buf_addf(out, "%s# %s\n", i ? "\n" : "", s->help);
            continue;
        }
        buf_clear(&value);
        value_put(&value, s, cfg);
        rc = buf_addf(out, "%-*s %s  (%s)\n", PRINT_NAME_WIDTH, s->names[0], buf_cstr(&value),
                      origin_name(config_origin(cfg, s->names[0])));
    }
    buf_free(&value);
    return rc;
}

static const char *value_word(const struct setting *s)
{
    switch (s->type) {
    case SETTING_UINT:
        return "NUMBER";
    case SETTING_DURATION:
        return "DURATION";
    case SETTING_SIZE:
        return "SIZE";
    case SETTING_ENUM:
        return "WORD";
    case SETTING_SET:
    case SETTING_LIST:
    case SETTING_ORIGINS:
        return "LIST";
    case SETTING_PORTS:
        return "PORTS";
    case SETTING_URL:
        return "URL";
    case SETTING_TRUST:
        return "WHOM";
    case SETTING_UPSTREAMS:
        return "JSON";
    case SETTING_HEADING:
    case SETTING_STRING:
    case SETTING_BOOL:
        break;
    }
    return s->flags & SETTING_SECRET ? "SECRET" : "TEXT";
}

static int put_wrapped(struct buf *out, struct str text)
{
    struct str word;
    size_t column = 0;
    while (str_split(&text, ' ', &word)) {
        bool wrap = column == 0 || column + 1 + word.n > HELP_WIDTH;
        buf_addf(out, "%s%.*s", !wrap ? " " : column ? "\n      " : "      ", STR_ARG(word));
        column = wrap ? 6 + word.n : column + 1 + word.n;
    }
    return buf_byte(out, '\n');
}

static int help_row(struct buf *out, const struct setting *s)
{
    struct buf text = BUF_INIT(KIB(4));
    char flag[SETTING_FLAG_MAX];
    setting_flag(flag, s->names[0]);
    if (s->type == SETTING_BOOL)
        buf_addf(out, "  --[no-]%s\n", flag + 2);
    else
        buf_addf(out, "  %s=%s\n", flag, value_word(s));
    buf_addf(&text, "%s", s->help);
    if (s->type == SETTING_ENUM || s->type == SETTING_SET) {
        buf_lit(&text, "; ");
        setting_allowed(&text, s);
    }
    if (s->fallback)
        buf_addf(&text, " [%s", s->fallback);
    if (s->production)
        buf_addf(&text, "; %s in production", s->production);
    if (s->fallback)
        buf_lit(&text, "]");
    int rc = put_wrapped(out, buf_str(&text));
    buf_free(&text);
    return rc;
}

int config_help(struct buf *out)
{
    buf_lit(out, "  -c, --config=FILE\n      JSON file of settings; appsettings.json is understood\n"
                 "  --env-file=FILE\n      read instead of .env in the working directory\n"
                 "\nEvery option is also a variable of the environment, of .env and of the JSON file: --log-level is\n"
                 "LOG_LEVEL. The command line goes before the environment, .env, the file and the default.\n");
    for (size_t i = 0; i < settings_count; i++) {
        int rc = settings[i].type == SETTING_HEADING ? buf_addf(out, "\n%s:\n", settings[i].help)
                                                     : help_row(out, &settings[i]);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Table cells: '|' would end the cell. */
static void put_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '*')
            buf_byte(out, '\\');
        buf_byte(out, *text);
    }
}

static int markdown_row(struct buf *out, const struct setting *s)
{
    struct buf allowed = BUF_INIT(KIB(4));
    buf_addf(out, "| `%s`", s->names[0]);
    for (size_t i = 1; i < COUNT(s->names) && s->names[i]; i++)
        buf_addf(out, "<br>`%s`", s->names[i]);
    buf_lit(out, " | ");
    if (s->fallback)
        buf_addf(out, "`%s`", s->fallback);
    if (s->production)
        buf_addf(out, "<br>production: `%s`", s->production);
    buf_lit(out, " | ");
    setting_allowed(&allowed, s);
    put_cell(out, s->type == SETTING_STRING ? (s->flags & SETTING_SECRET ? "secret" : "text") : buf_cstr(&allowed));
    buf_lit(out, " | ");
    put_cell(out, s->help);
    buf_free(&allowed);
    return buf_addf(out, "%s |\n", s->flags & SETTING_RELOADS ? " (reloads)" : "");
}

static const char markdown_intro[] =
    "# Configuration\n"
    "\n"
    "Written by `parley check --markdown` from the table in `src/config/settings.c`; a test compares the two.\n"
    "\n"
    "A value is taken from the first of these that has it:\n"
    "\n"
    "1. the command line: `--log-level=debug` or `--log-level debug` for `LOG_LEVEL`, `--metrics` and `--no-metrics`\n"
    "   for a switch;\n"
    "2. the environment; an empty variable counts as unset;\n"
    "3. `.env` in the working directory, or `--env-file FILE`: `NAME=value` lines, `export`, comments, single quotes\n"
    "   (as written) and double quotes (`\\n` `\\r` `\\t` `\\\"` `\\\\` `\\$`), both over several lines; in a bare "
    "value `#`\n"
    "   starts a comment only behind a blank;\n"
    "4. the JSON file named by `-c FILE` or `--config FILE`: the names below, flat or nested, in any spelling\n"
    "   (`\"RATE_LIMIT_MAX_REQUESTS\"`, `{\"rateLimit\": {\"maxRequests\": 5}}`). .NET's `appsettings.json` is "
    "understood:\n"
    "   `OpenAI:{ApiKey,ChatModel,RealtimeModel,TtsModel}`, `Logging:LogLevel:Default`, `Urls`;\n"
    "5. the default.\n"
    "\n"
    "A wrong value stops the start; every wrong value is listed with what is allowed. Where a setting has two names "
    "and\n"
    "both are given in one place, the upper one counts. `parley check` prints every value with its origin; secrets "
    "show\n"
    "as set or unset. Settings marked *reloads* take new values over on SIGHUP, the others on a restart. Those marked\n"
    "*accepted, used by …* are read and checked, and take effect with the part they name.\n";

static const char markdown_upstreams[] =
    "\n## Several upstreams\n"
    "\n"
    "```json\n"
    "[{\"name\": \"main\", \"provider\": \"openai\", \"base_url\": \"https://api.openai.com/v1\", \"api_key\": \"…\", "
    "\"weight\": 3},\n"
    " {\"name\": \"west\", \"provider\": \"azure\", \"base_url\": \"https://west.openai.azure.com\", \"api_key\": "
    "\"…\",\n"
    "  \"deployment\": \"gpt-4o\", \"api_version\": \"2025-01-01-preview\"},\n"
    " {\"name\": \"own\", \"base_url\": \"http://127.0.0.1:11434/v1\", \"model\": \"llama3\"}]\n"
    "```\n"
    "\n"
    "`LLM_UPSTREAMS` holds this array as text, or as it stands in the JSON file. `provider` is openai unless said,\n"
    "`weight` 1. `model` is sent instead of the surface's model. An upstream without `base_url` is that of\n"
    "`OPENAI_BASE_URL` or `AZURE_OPENAI_ENDPOINT` with its key; one with a `base_url` has the key given here or "
    "none.\n";

int config_markdown(struct buf *out)
{
    buf_add(out, markdown_intro, sizeof(markdown_intro) - 1);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        int rc = s->type == SETTING_HEADING
                     ? buf_addf(out, "\n## %s\n\n| Setting | Default | Allowed | What it does |\n|---|---|---|---|\n",
                                s->help)
                     : markdown_row(out, s);
        if (rc < 0)
            return -1;
    }
    return buf_add(out, markdown_upstreams, sizeof(markdown_upstreams) - 1);
}
