/* Conversation items: the client's, which are text or audio of the user, and those of the conversation as JSON. */
#include "api/realtime_impl.h"

static const char *const roles[] = {"user", "assistant", "system"}; /* as enum voice_item_kind */

/* ---- reading ---- */

struct content {
    struct buf text;
    size_t texts, audios;
    struct str audio; /* base64 */
};

static int read_text(const struct realtime_reader *part, struct content *out)
{
    struct str text = STR_NONE;
    if (realtime_read_str(part, "text", LIMIT_MESSAGE_TEXT, &text) < 0)
        return -1;
    if (!text.p)
        return realtime_missing(part, "text");
    if ((out->texts++ && buf_lit(&out->text, "\n") < 0) || buf_str_add(&out->text, text) < 0)
        return realtime_refuse(part->error, "string_above_max_length", "item.content",
                               "Invalid 'item.content': the text is longer than %zu bytes.", LIMIT_MESSAGE_TEXT);
    return 0;
}

static int read_audio(const struct realtime_reader *part, struct content *out)
{
    if (realtime_read_str(part, "audio", REALTIME_MESSAGE_MAX, &out->audio) < 0)
        return -1;
    if (!out->audio.p)
        return realtime_missing(part, "audio");
    out->audios++;
    return 0;
}

/* What a message of the role may be made of; the preview called what an assistant says "text". */
static int read_part(const struct realtime_reader *part, enum voice_item_kind kind, struct content *out)
{
    static const char *const user[] = {"input_text", "input_audio"}, *const system[] = {"input_text"},
                             *const assistant[] = {"output_text", "text"};
    size_t type = 0;
    if (!realtime_has(part, "type"))
        return realtime_missing(part, "type");
    const char *const *types = kind == VOICE_ITEM_USER ? user : kind == VOICE_ITEM_SYSTEM ? system : assistant;
    if (realtime_read_name(part, "type", types, kind == VOICE_ITEM_SYSTEM ? 1 : 2, &type) < 0)
        return -1;
    return kind == VOICE_ITEM_USER && type == 1 ? read_audio(part, out) : read_text(part, out);
}

static int read_content(const struct realtime_reader *item, enum voice_item_kind kind, struct content *out)
{
    const cJSON *list = json_get(item->obj, "content");
    if (!list)
        return realtime_missing(item, "content");
    if (!cJSON_IsArray(list) || !list->child)
        return realtime_wrong_type(item, "content", "a non-empty array of objects");
    for (const cJSON *part = list->child; part; part = part->next) {
        if (!cJSON_IsObject(part))
            return realtime_wrong_type(item, "content", "an array of objects");
        if (read_part(&(struct realtime_reader){part, "item.content", item->error}, kind, out) < 0)
            return -1;
    }
    if (out->audios && out->audios + out->texts > 1)
        return realtime_refuse(item->error, "unsupported_parameter", "item.content",
                               "An item with audio has no other content here.");
    return 0;
}

static int read_message(const struct realtime_reader *r, struct arena *arena, struct realtime_item *out)
{
    static const char *const known[] = {"id", "object", "type", "status", "role", "content"};
    struct content content = {.text = BUF_INIT(LIMIT_MESSAGE_TEXT)};
    size_t role = 0;
    if (realtime_known(r, known, COUNT(known)) < 0 || realtime_read_str(r, "id", VOICE_ID - 1, &out->text.id) < 0)
        return -1;
    if (!realtime_has(r, "role"))
        return realtime_missing(r, "role");
    if (realtime_read_name(r, "role", roles, COUNT(roles), &role) < 0)
        return -1;
    out->text.kind = (enum voice_item_kind)role;
    int result = read_content(r, out->text.kind, &content);
    if (result == 0) {
        out->is_audio = content.audios;
        out->audio = content.audio;
        out->text.text = arena_str(arena, buf_str(&content.text));
    }
    buf_free(&content.text);
    return result;
}

/* What it points to, as it is now. */
static int read_reference(const struct realtime *rt, const struct realtime_reader *r, struct arena *arena,
                          struct realtime_item *out)
{
    struct str id = STR_NONE;
    if (realtime_read_str(r, "id", REALTIME_STRING_MAX, &id) < 0)
        return -1;
    if (!id.p)
        return realtime_missing(r, "id");
    const struct voice_item *item = voice_find(rt->voice, id);
    if (!item)
        return realtime_refuse(r->error, "item_not_found", r->path, "There is no item '%.60s'.", id.p);
    out->text.kind = item->kind;
    out->text.text = arena_str(arena, item->text);
    return 0;
}

int realtime_item_read(struct realtime *rt, const struct realtime_reader *r, struct arena *arena,
                       struct realtime_item *out)
{
    static const char *const types[] = {"message", "item_reference"};
    size_t type = 0;
    *out = (struct realtime_item){.text = {.id = STR(""), .after = STR("")}};
    if (!realtime_has(r, "type"))
        return realtime_missing(r, "type");
    if (realtime_read_name(r, "type", types, COUNT(types), &type) < 0)
        return -1;
    return type ? read_reference(rt, r, arena, out) : read_message(r, arena, out);
}

/* ---- writing ---- */

static const char *status_name(enum voice_item_status status)
{
    return status == VOICE_IN_PROGRESS ? "in_progress" : status == VOICE_COMPLETED ? "completed" : "incomplete";
}

static const char *content_type(const struct realtime *rt, const struct voice_item *item)
{
    if (item->kind != VOICE_ITEM_ASSISTANT)
        return item->audio ? "input_audio" : "input_text";
    if (rt->beta)
        return item->audio ? "audio" : "text";
    return item->audio ? "output_audio" : "output_text";
}

static void put_text(struct jw *w, const struct voice_item *item)
{
    if (!item->audio)
        jw_kstr(w, "text", item->text);
    else if (item->kind == VOICE_ITEM_ASSISTANT || item->transcribed)
        jw_kstr(w, "transcript", item->text);
    else
        jw_knull(w, "transcript");
}

/* Here the part's type has the preview's name in GA too. */
void realtime_put_part(struct jw *w, const struct voice_item *item, bool empty)
{
    jw_key(w, "part");
    jw_obj(w);
    jw_kstr(w, "type", item->audio ? STR("audio") : STR("text"));
    jw_kstr(w, item->audio ? "transcript" : "text", empty ? STR("") : item->text);
    jw_end_obj(w);
}

void realtime_put_item(struct jw *w, const struct realtime *rt, const struct voice_item *item)
{
    jw_obj(w);
    jw_kstr(w, "id", str_c(item->id));
    jw_kstr(w, "object", STR("realtime.item"));
    jw_kstr(w, "type", STR("message"));
    jw_kstr(w, "status", str_c(status_name(item->status)));
    jw_kstr(w, "role", str_c(roles[item->kind]));
    jw_key(w, "content");
    jw_arr(w);
    if (item->kind != VOICE_ITEM_ASSISTANT || item->status != VOICE_IN_PROGRESS) {
        jw_obj(w);
        jw_kstr(w, "type", str_c(content_type(rt, item)));
        put_text(w, item);
        jw_end_obj(w);
    }
    jw_end_arr(w);
    jw_end_obj(w);
}
