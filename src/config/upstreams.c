/* LLM_UPSTREAMS: a JSON array of upstreams. Errors name the entry and the member, never a value. */
#include "config/value.h"

#include "base/json.h"

#define UPSTREAMS_MAX 32
#define WEIGHT_MAX    1000

static const char *const members[] = {"name",  "provider",   "base_url",    "api_key",
                                      "model", "deployment", "api_version", "weight"};

static int check_members(const cJSON *entry, size_t number, struct err *e)
{
    if (!cJSON_IsObject(entry))
        return err_set(e, ERR_INVALID_REQUEST, "entry %zu must be an object", number);
    for (const cJSON *item = entry->child; item; item = item->next) {
        bool known = false;
        for (size_t i = 0; i < COUNT(members); i++)
            known |= strcmp(item->string, members[i]) == 0;
        if (!known)
            return err_set(e, ERR_INVALID_REQUEST, "entry %zu has an unknown member \"%.40s\"", number, item->string);
        if (strcmp(item->string, "weight") != 0 && !cJSON_IsString(item))
            return err_set(e, ERR_INVALID_REQUEST, "entry %zu: \"%s\" must be a string", number, item->string);
    }
    return 0;
}

/* A member's text in the arena, NULL when absent or empty. -1 for control characters. */
static int text_member(const cJSON *entry, const char *key, char **out, struct arena *a)
{
    struct str text = str_trim(json_str(entry, key));
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return -1;
    *out = text.n ? arena_cstr(a, text) : NULL;
    return 0;
}

static int read_texts(const cJSON *entry, size_t number, struct config_upstream *up, struct arena *a, struct err *e)
{
    char **const targets[] = {&up->name,       NULL, &up->base_url, &up->api_key, &up->model, &up->deployment,
                              &up->api_version};
    for (size_t i = 0; i < COUNT(targets); i++)
        if (targets[i] && text_member(entry, members[i], targets[i], a) < 0)
            return err_set(e, ERR_INVALID_REQUEST, "entry %zu: \"%s\" must not contain control characters", number,
                           members[i]);
    if (!up->name)
        return err_set(e, ERR_INVALID_REQUEST, "entry %zu needs a \"name\"", number);
    if (!up->base_url)
        return 0;
    struct str url = url_check(str_c(up->base_url), "http|https", false);
    if (!url.p)
        return err_set(e, ERR_INVALID_REQUEST, "entry %zu: \"base_url\" must be an http or https URL without query",
                       number);
    up->base_url[url.n] = 0;
    return 0;
}

static int read_entry(const cJSON *entry, size_t number, struct config_upstream *up, struct arena *a, struct err *e)
{
    if (check_members(entry, number, e) < 0 || read_texts(entry, number, up, a, e) < 0)
        return -1;
    struct str provider = json_str(entry, "provider");
    if (!provider.p || str_ieq(provider, STR("openai")))
        up->provider = PROVIDER_OPENAI;
    else if (str_ieq(provider, STR("azure")))
        up->provider = PROVIDER_AZURE;
    else
        return err_set(e, ERR_INVALID_REQUEST, "entry %zu: \"provider\" must be openai or azure", number);
    double weight = json_num(entry, "weight", cJSON_HasObjectItem(entry, "weight") ? 0 : 1);
    if (!(weight >= 1 && weight <= WEIGHT_MAX) || weight != (double)(uint64_t)weight)
        return err_set(e, ERR_INVALID_REQUEST, "entry %zu: \"weight\" must be a whole number from 1 to %d", number,
                       WEIGHT_MAX);
    up->weight = (uint64_t)weight;
    return 0;
}

static int read_entries(const cJSON *array, struct config_upstreams *list, struct arena *a, struct err *e)
{
    for (const cJSON *entry = array->child; entry; entry = entry->next) {
        struct config_upstream *up = &list->items[list->count];
        if (read_entry(entry, list->count + 1, up, a, e) < 0)
            return -1;
        for (size_t i = 0; i < list->count; i++)
            if (strcmp(list->items[i].name, up->name) == 0)
                return err_set(e, ERR_INVALID_REQUEST, "entries %zu and %zu have the same name", i + 1,
                               list->count + 1);
        list->count++;
    }
    return 0;
}

int upstreams_parse(struct str text, struct config_upstreams *out, struct arena *a, struct err *e)
{
    struct config_upstreams list = {0};
    struct arena *scratch = arena_new("config_upstreams");
    const cJSON *array = json_parse(scratch, text, NULL);
    int rc;
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) > UPSTREAMS_MAX) {
        rc = err_set(e, ERR_INVALID_REQUEST,
                     "must be a JSON array of up to %d objects with name, provider (openai or azure), base_url, "
                     "api_key, model, deployment, api_version, weight",
                     UPSTREAMS_MAX);
    } else {
        list.items = arena_zalloc(a, (size_t)cJSON_GetArraySize(array) * sizeof(*list.items) + 1);
        rc = read_entries(array, &list, a, e);
    }
    arena_free(scratch);
    if (rc == 0)
        *out = list;
    return rc;
}
