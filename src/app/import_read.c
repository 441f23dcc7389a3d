/* Documents as Mongoose wrote them, in relaxed Extended JSON:
 * https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/ */
#include "app/import_impl.h"
#include "auth/mac.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/rand.h"

#include <math.h>
#include <stdlib.h>

#define LAST_MS 253402300799999 /* of the year 9999 */

struct str import_id(const cJSON *value, struct arena *arena)
{
    struct str text = cJSON_IsString(value) ? str_c(value->valuestring) : json_str(value, "$oid");
    if (text.n != OBJECT_ID_LEN)
        return STR_NONE;
    char *lower = arena_cstr(arena, text);
    for (char *p = lower; *p; p++)
        if (*p >= 'A' && *p <= 'F')
            *p = (char)(*p + 'a' - 'A');
    return is_object_id(str_c(lower)) ? str_c(lower) : STR_NONE;
}

double import_number(const cJSON *value, double fallback)
{
    static const char *const boxes[] = {"$numberLong", "$numberInt", "$numberDouble"};
    for (size_t i = 0; i < COUNT(boxes) && cJSON_IsObject(value); i++) {
        struct str text = json_str(value, boxes[i]);
        char *end = NULL;
        double number = text.n ? strtod(text.p, &end) : NAN;
        if (text.n && end == text.p + text.n && isfinite(number))
            return number;
    }
    return cJSON_IsNumber(value) && isfinite(value->valuedouble) ? value->valuedouble : fallback;
}

int64_t import_time(const cJSON *value, int64_t fallback)
{
    const cJSON *date = cJSON_IsObject(value) && json_get(value, "$date") ? json_get(value, "$date") : value;
    int64_t ms = -1;
    if (cJSON_IsString(date)) {
        if (clock_iso_parse(date->valuestring, strlen(date->valuestring), &ms) < 0)
            return fallback;
    } else {
        double number = import_number(date, -1);
        ms = number >= 0 && number <= (double)LAST_MS ? (int64_t)number : -1;
    }
    return ms > 0 && ms <= LAST_MS ? ms * 1000 : fallback;
}

int64_t import_id_time(struct str id)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < 8 && i < id.n; i++)
        seconds = seconds * 16 + (id.p[i] <= '9' ? id.p[i] - '0' : id.p[i] - 'a' + 10);
    return seconds * 1000000;
}

struct str import_text(const cJSON *object, const char *key)
{
    struct str text = json_str(object, key);
    return text.p ? text : STR("");
}

/* ---- messages ---- */

/* The same whenever it is asked for: in the form of the others, of the
 * conversation and the place. */
static struct str made_id(struct str conversation, size_t at, struct arena *arena)
{
    unsigned char mac[MAC_LEN];
    char *id = arena_alloc(arena, OBJECT_ID_LEN + 1);
    mac_sign(mac, conversation, arena_printf(arena, "%zu", at));
    hex_encode(id, mac, OBJECT_ID_LEN / 2);
    return str_n(id, OBJECT_ID_LEN);
}

static const char *problem_of(const cJSON *item)
{
    struct str role = json_str(item, "role"), content = json_str(item, "content");
    if (!str_eqc(role, "user") && !str_eqc(role, "assistant") && !str_eqc(role, "system"))
        return "its role is none of user, assistant, system";
    if (!content.p)
        return "it has no content";
    return content.n > LIMIT_MESSAGE_TEXT ? "it is too long" : NULL;
}

static struct str facts_of(const cJSON *item, struct arena *arena)
{
    const cJSON *kept = json_get(item, "metadata");
    struct message_facts facts = {
        .sentiment = sentiment_find(import_text(kept, "sentiment")),
        .intents = intent_find(import_text(kept, "intent")),
        .confidence = import_number(json_get(kept, "confidence"), -1),
        .audio_url = import_text(item, "audioUrl"),
    };
    if (facts.confidence > 1)
        facts.confidence = -1;
    if (facts.audio_url.n > LIMIT_TITLE)
        facts.audio_url = STR("");
    return message_facts_meta(&facts, arena);
}

/* How the whole conversation was judged stands with the last message of the
 * customer. */
static void keep_sentiment(const cJSON *doc, struct import_messages *messages, struct arena *arena)
{
    enum sentiment sentiment = sentiment_find(import_text(json_get(doc, "metadata"), "sentiment"));
    if (!sentiment)
        sentiment = sentiment_find(import_text(json_get(doc, "analytics"), "sentiment"));
    size_t i = messages->n;
    while (i > 0 && !str_eqc(messages->items[i - 1].role, "user"))
        i--;
    if (!sentiment || i == 0)
        return;
    struct message *last = &messages->items[i - 1];
    struct message_facts facts = message_facts(last, arena);
    if (facts.sentiment)
        return;
    facts.sentiment = sentiment;
    last->meta = message_facts_meta(&facts, arena);
}

struct reading {
    struct str conversation;
    struct map ids; /* two messages of one id: the second gets another */
    int64_t us;     /* of the message before */
    struct arena *arena;
};

static struct message read_message(struct reading *r, const cJSON *item, size_t at)
{
    struct str id = import_id(json_get(item, "_id"), r->arena);
    if (!id.n || map_get(&r->ids, id))
        id = made_id(r->conversation, at, r->arena);
    map_put(&r->ids, id, r);
    r->us = import_time(json_get(item, "timestamp"), r->us);
    return (struct message){.id = id,
                            .role = json_str(item, "role"),
                            .content = json_str(item, "content"),
                            .meta = facts_of(item, r->arena),
                            .created_us = r->us,
                            .status = MESSAGE_COMPLETE};
}

int import_messages_read(struct import *im, const cJSON *doc, struct str id, int64_t created_us, struct arena *arena,
                         struct import_messages *out, struct err *e)
{
    const cJSON *list = json_get(doc, "messages"), *item;
    if (list && !cJSON_IsArray(list) && !cJSON_IsNull(list))
        return err_set(e, ERR_INVALID_REQUEST, "its messages are no list");
    struct reading r = {.conversation = id, .us = created_us, .arena = arena};
    struct import_counts *counts = &im->counts[IMPORT_MESSAGES];
    size_t at = 0;
    out->n = 0;
    out->items = arena_zalloc(arena, ((size_t)cJSON_GetArraySize(list) + 1) * sizeof *out->items);
    cJSON_ArrayForEach(item, list)
    {
        const char *problem = problem_of(item);
        counts->read++;
        if (problem) {
            counts->refused++;
            import_report("message", id.p, (long)at, problem);
        } else {
            out->items[out->n++] = read_message(&r, item, at);
        }
        at++;
    }
    map_free(&r.ids);
    keep_sentiment(doc, out, arena);
    return 0;
}
