/* The demo responder: the first line is the question, the rest the text to answer from. */
#include "fuzz.h"

#include "base/utf8.h"
#include "llm/demo/responder.h"
#include "llm/tokens.h"

static void reply(const struct responder_input *in)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    responder_reply(in, &out);
    CHECK(out.len > 0 && out.len < KIB(16));
    if (utf8_valid(in->question) && utf8_valid(in->text))
        CHECK(utf8_valid(buf_str(&out)));
    CHECK(tokens_estimate(buf_str(&out)) > 0);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, question = {text.p, 0};
    ptrdiff_t line = str_find_char(text, '\n');
    if (line >= 0) {
        question.n = (size_t)line;
        text = str_from(text, (size_t)line + 1);
    } else {
        question = text;
        text.n = 0;
    }
    static const char *const intents[] = {"question", "support", "purchase", "cancellation", "general"};
    struct responder_input in = {.question = question, .text = text, .turns = 2, .wall_ms = 1795244413463};
    reply(&in);
    in.speaker = STR("Nina");
    in.company = STR("Zimax Bikes");
    in.intent = str_c(intents[size % COUNT(intents)]);
    reply(&in);
    in.speaker = in.company = question; /* its own names are the owner's to choose */
    reply(&in);
    return 0;
}
