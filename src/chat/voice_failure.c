#include "chat/voice_failure_impl.h"

static const struct {
    enum err_code code;
    const char *text[2]; /* of recognition, of synthesis */
} told[] = {
    {ERR_CANCELLED, {"Speech recognition was stopped", "Speech synthesis was stopped"}},
    {ERR_NOT_CONFIGURED, {"Speech recognition is not configured", "Speech synthesis is not configured"}},
    {ERR_OVERLOADED, {"Speech recognition is busy. Please try again.", "Speech synthesis is busy. Please try again."}},
    {ERR_RATE_LIMIT_EXCEEDED,
     {"Speech recognition is busy. Please try again.", "Speech synthesis is busy. Please try again."}},
    {ERR_TIMEOUT, {"Speech recognition took too long", "Speech synthesis took too long"}},
    {ERR_INVALID_REQUEST, {"The audio cannot be recognized as requested", "The text cannot be spoken as requested"}},
    {ERR_BODY_TOO_LARGE, {"The audio is too long to be recognized", "The text is too long to be spoken"}},
    {ERR_UPSTREAM_UNREACHABLE, {"Speech recognition cannot be reached", "Speech synthesis cannot be reached"}},
    {ERR_UPSTREAM, {"Speech recognition failed", "Speech synthesis failed"}}, /* and whatever else */
};

int voice_failure(struct err *e, enum voice_work work, const struct err *cause)
{
    int retry_after_ms = cause->retry_after_ms;
    size_t i = 0;
    while (i < COUNT(told) - 1 && told[i].code != cause->code)
        i++;
    err_set(e, told[i].code, "%s", told[i].text[work]);
    if (e)
        e->retry_after_ms = retry_after_ms;
    return -1;
}
