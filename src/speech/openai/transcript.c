#include "speech/openai/transcript.h"

#include "base/limits.h"
#include "client/refusal.h"
#include "wire/json.h"

void openai_transcript_init(struct openai_transcript *t)
{
    *t = (struct openai_transcript){.text = BUF_INIT(LIMIT_REPLY_TEXT), .scratch = BUF_INIT(LIMIT_REPLY_TEXT)};
}

void openai_transcript_free(struct openai_transcript *t)
{
    buf_free(&t->text);
    buf_free(&t->scratch);
}

static int add(struct openai_transcript *t, const struct json_value *text, struct err *e)
{
    buf_clear(&t->scratch);
    if (buf_str_add(&t->text, json_text(text, &t->scratch)) == 0)
        return 0;
    return err_set(e, ERR_UPSTREAM, "The service sent a transcript that is too long");
}

int openai_transcript_read_whole(struct openai_transcript *t, struct str json, struct err *e)
{
    struct json_want text = {.path = "text"};
    if (json_scan(json, &text, 1, NULL, NULL) < 0 || text.value.type != JSON_STRING)
        return err_set(e, ERR_UPSTREAM, "The service sent no transcript");
    t->done = true;
    return add(t, &text.value, e);
}

int openai_transcript_read_event(struct openai_transcript *t, struct str json, struct str key, struct err *e)
{
    struct json_want wants[] = {{.path = "type"}, {.path = "delta"}, {.path = "text"}, {.path = "error"}};
    if (json_scan(json, wants, COUNT(wants), NULL, NULL) < 0)
        return err_set(e, ERR_UPSTREAM, "The service sent a stream event that is no JSON object");
    struct str type = wants[0].value.type == JSON_STRING ? wants[0].value.raw : STR("");
    if (str_eqc(type, "error") || wants[3].value.type > JSON_NULL)
        return refusal_error(json, 0, key, e);
    if (str_eqc(type, "transcript.text.delta") && wants[1].value.type == JSON_STRING)
        return add(t, &wants[1].value, e) < 0 ? -1 : 1;
    if (!str_eqc(type, "transcript.text.done"))
        return 0;
    t->done = true;
    if (wants[2].value.type != JSON_STRING)
        return 1;
    buf_clear(&t->text);
    return add(t, &wants[2].value, e) < 0 ? -1 : 1;
}
