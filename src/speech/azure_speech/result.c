#include "speech/azure_speech/result.h"

#include "wire/json.h"

#define TICKS_PER_MS 10000

/* A number, be it written as one or as a string: the documentation shows both. */
static double number(const struct json_value *value, double fallback)
{
    struct json_want root = {.path = ""};
    if (value->type != JSON_STRING)
        return json_double(value, fallback);
    return json_scan(value->raw, &root, 1, NULL, NULL) == 0 ? json_double(&root.value, fallback) : fallback;
}

/* What the service says when it does not recognize; what it says in its WebSockets only is among it. */
static const struct {
    const char *name;
    int status;
    const char *text;
} refusals[] = {{"BadRequest", 400, "Azure Speech cannot use what was sent"},
                {"Forbidden", 403, "Azure Speech refuses its use"},
                {"TooManyRequests", 429, "Azure Speech has too much to do"}};

static int check_status(struct str status, struct err *e)
{
    static const char *const fine[] = {"Success", "NoMatch", "InitialSilenceTimeout", "BabbleTimeout",
                                       "EndOfDictation"};
    for (size_t i = 0; i < COUNT(fine); i++)
        if (str_eqc(status, fine[i]))
            return 0;
    for (size_t i = 0; i < COUNT(refusals); i++)
        if (str_eqc(status, refusals[i].name)) {
            err_set(e, ERR_UPSTREAM, "%s", refusals[i].text);
            if (e)
                e->status = refusals[i].status;
            return -1;
        }
    return err_set(e, ERR_UPSTREAM, "Azure Speech could not recognize the audio");
}

/* Up to where the audio was understood; negative when not said. */
static int64_t end_ms(const struct json_value *offset, const struct json_value *duration)
{
    double ticks = number(offset, -1), length = number(duration, -1);
    return ticks >= 0 && length >= 0 && ticks + length < 1e15 ? (int64_t)((ticks + length) / TICKS_PER_MS) : -1;
}

int result_read(struct result *result, struct str json, struct buf *scratch, struct err *e)
{
    struct json_want wants[] = {{.path = "RecognitionStatus"},   {.path = "NBest[0].Display"}, {.path = "DisplayText"},
                                {.path = "NBest[0].Confidence"}, {.path = "Offset"},           {.path = "Duration"}};
    const struct json_value *best = &wants[1].value, *simple = &wants[2].value;
    *result = (struct result){.text = STR(""), .confidence = -1, .audio_ms = -1};
    if (json_scan(json, wants, COUNT(wants), NULL, NULL) < 0 || wants[0].value.type != JSON_STRING)
        return err_set(e, ERR_UPSTREAM, "Azure Speech sent no recognition result");
    if (check_status(wants[0].value.raw, e) < 0)
        return -1;
    result->audio_ms = end_ms(&wants[4].value, &wants[5].value);
    if (!str_eqc(wants[0].value.raw, "Success"))
        return 0;
    if (best->type != JSON_STRING && simple->type != JSON_STRING)
        return err_set(e, ERR_UPSTREAM, "Azure Speech sent no transcript");
    result->text = str_trim(json_text(best->type == JSON_STRING ? best : simple, scratch));
    double confidence = number(&wants[3].value, -1);
    result->confidence = confidence >= 0 && confidence <= 1 ? confidence : -1;
    return 0;
}

int result_read_hypothesis(struct result *result, struct str json, struct buf *scratch, struct err *e)
{
    struct json_want wants[] = {{.path = "Text"}, {.path = "Offset"}, {.path = "Duration"}};
    if (json_scan(json, wants, COUNT(wants), NULL, NULL) < 0 || wants[0].value.type != JSON_STRING)
        return err_set(e, ERR_UPSTREAM, "Azure Speech sent no recognition result");
    *result = (struct result){.text = str_trim(json_text(&wants[0].value, scratch)),
                              .confidence = -1,
                              .audio_ms = end_ms(&wants[1].value, &wants[2].value)};
    return 0;
}
