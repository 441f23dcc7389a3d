/* What was heard, and what it is answered with. */
#include "api/aimcs_voice.h"

#include "base/mem.h"

#include <stdlib.h>

struct said {
    uint64_t utterance;
    bool chunked;
};

/* ---- telling ---- */

static void send_text(struct aimcs_voice *v, const char *type, struct str text)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, type);
    jw_kstr(&w, "message", text);
    aimcs_send_frame(v->ws, &w);
}

static void send_processing(struct aimcs_voice *v)
{
    struct buf out;
    struct jw w = aimcs_frame(&out, "audio_processing");
    jw_kstr(&w, "message", STR("Processing audio"));
    jw_kint(&w, "dataSize", (int64_t)v->received);
    v->received = 0;
    aimcs_send_frame(v->ws, &w);
}

static struct jw audio_response(struct buf *out, struct str message, bool ai_used)
{
    struct jw w = aimcs_frame(out, "audio_response");
    aimcs_put_id(&w);
    jw_kstr(&w, "message", message);
    jw_kbool(&w, "aiUsed", ai_used);
    jw_kstr(&w, "originalMessage", STR("Audio input"));
    return w;
}

static void send_not_heard(struct aimcs_voice *v)
{
    struct buf out;
    struct jw w = audio_response(&out, STR(AIMCS_NOT_HEARD), false);
    aimcs_send_frame(v->ws, &w);
}

static void send_failed(struct aimcs_voice *v, bool chunked, struct str text, const struct err *e)
{
    struct buf out;
    struct jw w;
    if (chunked) {
        w = audio_response(&out, STR(AIMCS_NOT_PROCESSED), false);
    } else {
        w = aimcs_frame(&out, "chat_response");
        jw_kstr(&w, "message", STR(AIMCS_NOT_PROCESSED));
        jw_kbool(&w, "aiUsed", false);
        jw_kstr(&w, "originalMessage", text);
    }
    jw_kstr(&w, "error", str_c(e->text));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    aimcs_send_frame(v->ws, &w);
}

/* ---- answering: in the task of the turns ---- */

/* False: nobody speaks, or somebody said more meanwhile. */
static bool speak(struct aimcs_voice *v, const struct said *said, struct str text, struct arena *arena, struct buf *mp3)
{
    struct err e;
    return v->api->config.tts && v->worded <= said->utterance &&
           aimcs_socket_speak(v->ws, true, text, arena, mp3, &e) == 0 && v->worded <= said->utterance;
}

static void answer_speech(struct aimcs_voice *v, const struct said *said, struct str text,
                          const struct aimcs_answer *answer, struct arena *arena)
{
    struct buf out, mp3 = BUF_INIT(AIMCS_SPOKEN_MAX);
    struct jw w = aimcs_frame(&out, "chat_response");
    aimcs_put_answer(&w, text, answer);
    aimcs_send_frame(v->ws, &w);
    struct str spoken = answer->error.n ? STR(AIMCS_NOT_PROCESSED) : answer->text;
    if (speak(v, said, spoken, arena, &mp3)) {
        w = aimcs_frame(&out, "speech_response");
        jw_kstr(&w, "message", spoken);
        aimcs_put_audio(&w, buf_str(&mp3), "mp3");
        aimcs_send_frame(v->ws, &w);
    }
    buf_free(&mp3);
}

static void answer_chunks(struct aimcs_voice *v, const struct said *said, struct str text,
                          const struct aimcs_answer *answer, struct arena *arena)
{
    struct buf out, mp3 = BUF_INIT(AIMCS_SPOKEN_MAX);
    bool spoken = !answer->error.n && speak(v, said, answer->text, arena, &mp3);
    struct jw w = audio_response(&out, answer->error.n ? STR(AIMCS_NOT_PROCESSED) : answer->text, answer->ai_used);
    jw_kstr(&w, "transcript", text);
    if (answer->error.n)
        jw_kstr(&w, "error", answer->error);
    if (answer->conversation_id.n)
        jw_kstr(&w, "conversationId", answer->conversation_id);
    if (spoken)
        aimcs_put_audio(&w, buf_str(&mp3), "mp3");
    aimcs_send_frame(v->ws, &w);
    buf_free(&mp3);
}

static void handle_said(void *owner, struct arena *arena, struct str data)
{
    struct aimcs_voice *v = owner;
    struct said said;
    struct aimcs_answer answer;
    struct err e;
    memcpy(&said, data.p, sizeof said);
    struct str text = str_from(data, sizeof said);
    if (!aimcs_voice_open(v))
        return;
    struct str conversation = aimcs_conversation(v->ws, STR(""), arena);
    task_shield(); /* what was said is stored and answered, also when the socket closes meanwhile */
    int asked = aimcs_ask(v->api, conversation, text, v->ws, arena, &answer, &e);
    task_unshield();
    if (!aimcs_voice_open(v))
        return;
    if (asked < 0)
        send_failed(v, said.chunked, text, &e);
    else
        (said.chunked ? answer_chunks : answer_speech)(v, &said, text, &answer, arena);
}

static void pause_client(void *owner, bool hold)
{
    aimcs_voice_hold(owner, AIMCS_HOLD_TURNS, hold);
}

static const struct serial_ops turn_ops = {
    .name = "aimcs_turns",
    .ref = aimcs_voice_ref_owner,
    .unref = aimcs_voice_unref_owner,
    .pause = pause_client,
    .log_id = aimcs_voice_log_id,
};

static void answer(struct aimcs_voice *v, uint64_t utterance, struct str text)
{
    struct said said = {.utterance = utterance, .chunked = v->chunked};
    struct str parts[] = {str_n(&said, sizeof said), text};
    struct err e;
    if (serial_post_parts(&v->turns, &turn_ops, v, parts, COUNT(parts), handle_said))
        return;
    err_set(&e, ERR_OVERLOADED, NULL);
    send_failed(v, said.chunked, text, &e);
}

/* ---- hearing ---- */

static void settle(struct aimcs_voice *v)
{
    if (!v->owed || voice_input_busy(v->input))
        return;
    if (!v->answered)
        send_not_heard(v);
    v->owed = v->answered = false;
}

void aimcs_turn_owed(struct aimcs_voice *v)
{
    v->owed = true;
    settle(v);
}

/* The answer to what was said before is not spoken any more; as text it stays. */
static void barge_in(struct aimcs_voice *v, uint64_t utterance)
{
    if (utterance <= v->worded)
        return;
    v->worded = utterance;
    aimcs_socket_hush(v->ws, false);
}

static void heard_partial(struct aimcs_voice *v, const struct voice_heard *heard)
{
    struct str text = str_trim(heard->text);
    if (text.n == 0)
        return;
    barge_in(v, heard->utterance);
    bool next = heard->utterance == v->told + 1;
    if (next && !v->chunked && websocket_queued(v->ws) < CONN_HIGH_MARK) /* each says more than the one before */
        send_text(v, "speech_recognizing", text);
}

/* What came of an utterance: several may be recognized at a time, the first of them last. */
struct outcome {
    struct list link;
    uint64_t utterance;
    struct err error; /* code ERR_NONE: it was recognized */
    struct str text;
    char bytes[];
};

static struct outcome *outcome_new(const struct voice_heard *heard)
{
    struct str text = str_trim(heard->text);
    struct outcome *outcome = mem_zalloc(sizeof *outcome + text.n);
    outcome->utterance = heard->utterance;
    outcome->text = str_n(outcome->bytes, text.n);
    if (text.n)
        memcpy(outcome->bytes, text.p, text.n);
    if (heard->type == VOICE_HEARD_FAILED)
        outcome->error = *heard->error;
    return outcome;
}

static void tell(struct aimcs_voice *v, const struct outcome *outcome)
{
    bool failed = outcome->error.code != ERR_NONE;
    if (failed)
        send_failed(v, v->chunked, STR(""), &outcome->error);
    else if (!v->chunked)
        send_text(v, "speech_recognized", outcome->text);
    v->answered |= failed || outcome->text.n;
    if (outcome->text.n) {
        barge_in(v, outcome->utterance);
        answer(v, outcome->utterance, outcome->text);
    }
}

static struct outcome *next_outcome(const struct aimcs_voice *v)
{
    list_each(entry, &v->outcomes) {
        struct outcome *outcome = container_of(entry, struct outcome, link);
        if (outcome->utterance == v->told + 1) /* the analyzer loses count: NOLINT(clang-analyzer-unix.Malloc) */
            return outcome;
    }
    return NULL;
}

static void heard_outcome(struct aimcs_voice *v, const struct voice_heard *heard)
{
    list_push_back(&v->outcomes, &outcome_new(heard)->link);
    for (struct outcome *next; (next = next_outcome(v));) {
        list_remove(&next->link);
        v->told++;
        tell(v, next);
        free(next);
    }
    settle(v);
}

void aimcs_turn_abort(struct aimcs_voice *v)
{
    for (struct list *first; (first = list_pop_front(&v->outcomes));)
        free(container_of(first, struct outcome, link));
}

void aimcs_heard(void *arg, const struct voice_heard *heard)
{
    struct aimcs_voice *v = arg;
    switch (heard->type) {
    case VOICE_HEARD_STARTED:
        break;
    case VOICE_HEARD_STOPPED:
        if (!v->chunked)
            send_processing(v);
        break;
    case VOICE_HEARD_PARTIAL:
        heard_partial(v, heard);
        break;
    case VOICE_HEARD_FINAL:
    case VOICE_HEARD_FAILED:
        heard_outcome(v, heard);
        break;
    }
}
