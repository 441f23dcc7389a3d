/* What customer care tells its sockets. Members behind the documented ones are for clients in several tabs. */
#include "api/care_live_impl.h"

#include "wire/base64.h"

#define AUDIO_TYPE "audio/mpeg"

/* Speech is left out when there is none. */
static void put_speech(struct jw *w, struct str audio)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    if (!audio.n)
        return;
    base64_put(&text, audio, false);
    jw_kstr(w, "audioData", buf_str(&text));
    jw_kstr(w, "audioType", STR(AUDIO_TYPE));
    buf_free(&text);
}

static void put_welcome(struct jw *w, const struct care_started *started)
{
    jw_obj(w);
    jw_kstr(w, "role", STR("assistant"));
    jw_kstr(w, "content", started->welcome.content);
    jw_kiso(w, "timestamp", started->welcome.created_us / 1000);
    put_speech(w, started->speech.audio);
    jw_end_obj(w);
}

static void put_demo(struct jw *w, const struct care_view *view)
{
    if (!view->simulator)
        return;
    jw_key(w, "demoAgent");
    put_demo_agent(w);
}

void put_conversation_started(struct buf *out, const struct care_started *started)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "conversationId", started->view.conversation.id);
    jw_key(&w, "welcomeMessage");
    put_welcome(&w, started);
    put_demo(&w, &started->view);
    jw_end_obj(&w);
}

void put_ai_response(struct buf *out, const struct care_said *said)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "message", said->reply.content);
    put_speech(&w, said->speech.audio);
    put_demo(&w, &said->view);
    jw_kstr(&w, "conversationId", said->view.conversation.id);
    jw_kstr(&w, "messageId", said->reply.id);
    jw_end_obj(&w);
}

void put_care_error(struct buf *out, struct str message, const struct err *e)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "message", message);
    jw_kstr(&w, "details", live_public_text(e));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    jw_end_obj(&w);
}

void put_priority(struct buf *out, const struct care_view *view)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "conversationId", view->conversation.id);
    jw_kstr(&w, "priority", view->high_priority ? STR("high") : STR("normal"));
    jw_kstr(&w, "sentiment", str_c(sentiment_name(view->figures.sentiment)));
    jw_end_obj(&w);
}
