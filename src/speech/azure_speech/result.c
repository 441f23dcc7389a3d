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

static int check_status(struct str status, struct err *e)
{
    static const char *const fine[] = {"Success", "NoMatch", "InitialSilenceTimeout", "BabbleTimeout"};
    for (size_t i = 0; i < COUNT(fine); i++)
        if (str_eqc(status, fine[i]))
            return 0;
    return err_set(e, ERR_UPSTREAM, "Azure Speech could not recognize the audio");
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
    double ticks = number(&wants[4].value, -1), duration = number(&wants[5].value, -1);
    if (ticks >= 0 && duration >= 0 && ticks + duration < 1e15)
        result->audio_ms = (int64_t)((ticks + duration) / TICKS_PER_MS);
    if (!str_eqc(wants[0].value.raw, "Success"))
        return 0;
    if (best->type != JSON_STRING && simple->type != JSON_STRING)
        return err_set(e, ERR_UPSTREAM, "Azure Speech sent no transcript");
    result->text = str_trim(json_text(best->type == JSON_STRING ? best : simple, scratch));
    double confidence = number(&wants[3].value, -1);
    result->confidence = confidence >= 0 && confidence <= 1 ? confidence : -1;
    return 0;
}
