/* Members of what a realtime client sends, checked as OpenAI checks them and refused in its words. */
#include "api/realtime_impl.h"

#include <math.h>
#include <stdio.h>

static struct str join(char out[128], const struct realtime_reader *r, const char *key)
{
    int n = snprintf(out, 128, "%s%s%s", r->path, r->path[0] ? "." : "", key);
    return str_n(out, MIN((size_t)n, (size_t)127));
}

static const cJSON *member(const struct realtime_reader *r, const char *key)
{
    const cJSON *item = json_get(r->obj, key);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

bool realtime_has(const struct realtime_reader *r, const char *key)
{
    return member(r, key) != NULL;
}

int realtime_missing(const struct realtime_reader *r, const char *key)
{
    char param[128];
    join(param, r, key);
    return realtime_refuse(r->error, "missing_required_parameter", param, "Missing required parameter: '%s'.", param);
}

static const char *type_name(const cJSON *item)
{
    return cJSON_IsString(item)   ? "a string"
           : cJSON_IsNumber(item) ? "a number"
           : cJSON_IsBool(item)   ? "a boolean"
           : cJSON_IsArray(item)  ? "an array"
           : cJSON_IsObject(item) ? "an object"
                                  : "null";
}

int realtime_wrong_type(const struct realtime_reader *r, const char *key, const char *expected)
{
    char param[128];
    join(param, r, key);
    return realtime_refuse(r->error, "invalid_type", param, "Invalid type for '%s': expected %s, but got %s instead.",
                           param, expected, type_name(json_get(r->obj, key)));
}

int realtime_read_str(const struct realtime_reader *r, const char *key, size_t max, struct str *out)
{
    char param[128];
    const cJSON *item = member(r, key);
    if (!item)
        return 0;
    if (!cJSON_IsString(item))
        return realtime_wrong_type(r, key, "a string");
    struct str s = str_c(item->valuestring);
    join(param, r, key);
    if (s.n > max)
        return realtime_refuse(r->error, "string_above_max_length", param,
                               "Invalid '%s': string too long. Expected a string with maximum length %zu, but got a "
                               "string with length %zu instead.",
                               param, max, s.n);
    *out = s;
    return 0;
}

int realtime_read_num(const struct realtime_reader *r, const char *key, double least, double most, double *out)
{
    char param[128];
    const cJSON *item = member(r, key);
    if (!item)
        return 0;
    if (!cJSON_IsNumber(item))
        return realtime_wrong_type(r, key, "a number");
    join(param, r, key);
    if (item->valuedouble < least)
        return realtime_refuse(r->error, "decimal_below_min_value", param,
                               "Invalid '%s': decimal below minimum value. Expected a value >= %g, but got %g instead.",
                               param, least, item->valuedouble);
    if (item->valuedouble > most)
        return realtime_refuse(r->error, "decimal_above_max_value", param,
                               "Invalid '%s': decimal above maximum value. Expected a value <= %g, but got %g instead.",
                               param, most, item->valuedouble);
    *out = item->valuedouble;
    return 0;
}

int realtime_read_uint(const struct realtime_reader *r, const char *key, unsigned least, unsigned most, unsigned *out)
{
    char param[128];
    const cJSON *item = member(r, key);
    if (!item)
        return 0;
    double value = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    if (!(value == floor(value)))
        return realtime_wrong_type(r, key, "an integer");
    join(param, r, key);
    if (value < least)
        return realtime_refuse(
            r->error, "integer_below_min_value", param,
            "Invalid '%s': integer below minimum value. Expected a value >= %u, but got %.0f instead.", param, least,
            value);
    if (value > most)
        return realtime_refuse(
            r->error, "integer_above_max_value", param,
            "Invalid '%s': integer above maximum value. Expected a value <= %u, but got %.0f instead.", param, most,
            value);
    *out = (unsigned)value;
    return 0;
}

int realtime_read_bool(const struct realtime_reader *r, const char *key, bool *out)
{
    const cJSON *item = member(r, key);
    if (!item)
        return 0;
    if (!cJSON_IsBool(item))
        return realtime_wrong_type(r, key, "a boolean");
    *out = cJSON_IsTrue(item);
    return 0;
}

int realtime_read_name(const struct realtime_reader *r, const char *key, const char *const *names, size_t n,
                       size_t *out)
{
    char param[128], list[256];
    struct str value = STR_NONE;
    size_t used = 0;
    if (realtime_read_str(r, key, REALTIME_STRING_MAX, &value) < 0)
        return -1;
    if (!value.p)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (str_eqc(value, names[i])) {
            *out = i;
            return 0;
        }
    for (size_t i = 0; i < n; i++)
        used += str_copy(list + used, sizeof list - used, i ? STR(", '") : STR("'")),
            used += str_copy(list + used, sizeof list - used, str_c(names[i])),
            used += str_copy(list + used, sizeof list - used, STR("'"));
    join(param, r, key);
    return realtime_refuse(r->error, "invalid_value", param, "Invalid value: '%.*s'. Supported values are: %s.",
                           (int)MIN(utf8_floor(value.p, MIN(value.n, (size_t)60)), (size_t)60), value.p, list);
}

int realtime_read_obj(const struct realtime_reader *r, const char *key, char path[64], struct realtime_reader *out)
{
    const cJSON *item = member(r, key);
    snprintf(path, 64, "%s%s%s", r->path, r->path[0] ? "." : "", key);
    *out = (struct realtime_reader){item, path, r->error};
    return item && !cJSON_IsObject(item) ? realtime_wrong_type(r, key, "an object") : 0;
}

int realtime_known(const struct realtime_reader *r, const char *const *names, size_t n)
{
    char param[128];
    for (const cJSON *item = r->obj ? r->obj->child : NULL; item; item = item->next) {
        size_t i = 0;
        while (i < n && strcmp(item->string, names[i]) != 0)
            i++;
        if (i < n)
            continue;
        struct str at = join(param, r, item->string);
        param[utf8_whole(param, at.n)] = 0;
        return realtime_refuse(r->error, "unknown_parameter", param, "Unknown parameter: '%s'.", param);
    }
    return 0;
}

int realtime_unserved(const struct realtime_reader *r, const char *key)
{
    char param[128];
    const cJSON *item = member(r, key);
    if (!item || (cJSON_IsArray(item) && !item->child))
        return 0;
    join(param, r, key);
    return realtime_refuse(r->error, "unsupported_parameter", param, "Unsupported parameter: '%s' is not served here.",
                           param);
}

/* Nobody here calls functions: an empty list is all there may be. */
int realtime_read_tools(const struct realtime_reader *r)
{
    static const char *const choices[] = {"auto", "none"};
    size_t choice;
    bool parallel;
    return realtime_unserved(r, "tools") < 0 || realtime_unserved(r, "reasoning") < 0 ||
                   realtime_read_bool(r, "parallel_tool_calls", &parallel) < 0 ||
                   realtime_read_name(r, "tool_choice", choices, COUNT(choices), &choice) < 0
               ? -1
               : 0;
}

int realtime_read_limit(const struct realtime_reader *r, const char *key, int *out)
{
    const cJSON *item = member(r, key);
    unsigned limit = 0;
    if (item && cJSON_IsString(item)) {
        if (strcmp(item->valuestring, "inf") != 0)
            return realtime_wrong_type(r, key, "an integer or \"inf\"");
        *out = 0;
        return 0;
    }
    if (realtime_read_uint(r, key, 1, 4096, &limit) < 0)
        return -1;
    if (limit)
        *out = (int)limit;
    return 0;
}

int realtime_read_modalities(const struct realtime_reader *r, const char *key, bool beta, bool *audio)
{
    char param[128];
    const cJSON *list = member(r, key);
    unsigned texts = 0, audios = 0, others = 0;
    if (!list)
        return 0;
    if (!cJSON_IsArray(list))
        return realtime_wrong_type(r, key, "an array of strings");
    for (const cJSON *item = list->child; item; item = item->next) {
        bool named = cJSON_IsString(item);
        bool is_text = named && strcmp(item->valuestring, "text") == 0;
        bool is_audio = named && strcmp(item->valuestring, "audio") == 0;
        texts += is_text;
        audios += is_audio;
        others += !is_text && !is_audio;
    }
    bool fits = !others && texts <= 1 && audios <= 1 && texts + audios == (beta && audios ? 2u : 1u);
    join(param, r, key);
    if (!fits)
        return realtime_refuse(r->error, "invalid_value", param, "Invalid modalities. Supported combinations are: %s.",
                               beta ? "['text'] and ['audio', 'text']" : "['text'] and ['audio']");
    *audio = audios > 0;
    return 0;
}
