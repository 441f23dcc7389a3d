/* How the customer feels: the question to the model, and what its answer comes to. */
#include "base/utf8.h"
#include "chat/care_impl.h"

#define TEXT_MAX CARE_TEXT_MAX /* of one message: enough to tell a mood by */

/* A model gives one word and no measure of how sure it is. */
#define SURE_MODEL 0.8
#define SURE_BOTH  0.95 /* the lexicon says the same */

void care_texts_add(struct care_texts *texts, struct str text)
{
    if (texts->n == CARE_JUDGED) {
        memmove(texts->items, texts->items + 1, (CARE_JUDGED - 1) * sizeof *texts->items);
        texts->n--;
    }
    if (text.n > TEXT_MAX)
        text.n = utf8_floor(text.p, TEXT_MAX);
    texts->items[texts->n++] = text;
}

void care_texts_add_users(struct care_texts *texts, const struct message *messages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eqc(messages[i].role, "user"))
            care_texts_add(texts, messages[i].content);
}

struct care_question care_sentiment_question(const struct care_texts *texts, struct str conversation_id,
                                             struct arena *arena)
{
    struct buf text = BUF_INIT(CARE_JUDGED * (TEXT_MAX + 1));
    for (size_t i = 0; i < texts->n; i++) {
        if (i)
            buf_byte(&text, '\n');
        buf_str_add(&text, texts->items[i]);
    }
    struct care_question question = {.prompt = care_prompt_sentiment,
                                     .text = arena_str(arena, buf_str(&text)),
                                     .conversation_id = conversation_id,
                                     .temperature = 0.3,
                                     .max_tokens = 10};
    buf_free(&text);
    return question;
}

struct sentiment_verdict care_verdict(struct str answer, struct sentiment_verdict lexicon)
{
    enum sentiment said = sentiment_of_answer(answer);
    if (said == SENTIMENT_UNKNOWN)
        return lexicon;
    return (struct sentiment_verdict){said, said == lexicon.sentiment ? SURE_BOTH : SURE_MODEL};
}
