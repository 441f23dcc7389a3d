/* POST /api/conversations/:id/audio: what the user said, as a recording, with its text or without. */
#include "api/audio_files.h"
#include "api/care_impl.h"
#include "api/hearing.h"
#include "api/speech_impl.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "wire/multipart.h"

#define FAILURE "Failed to upload audio"

struct form {
    struct audio_upload audio;
    struct str transcript, language, client_id;
};

/* ---- the form ---- */

static int read_text(struct http_request *rq, struct str value, struct str *text, struct err *e)
{
    if (value.n > LIMIT_MESSAGE_TEXT || !utf8_valid(value))
        return err_set(e, ERR_INVALID_REQUEST,
                       value.n > LIMIT_MESSAGE_TEXT ? "The transcript is too long"
                                                    : "The transcript is not valid UTF-8");
    *text = str_trim(arena_str(rq->arena, value));
    return 0;
}

static int read_part(struct http_request *rq, const struct multipart_part *part, struct form *form, struct err *e)
{
    if (str_eqc(part->name, "audio")) {
        form->audio.bytes = part->body;
        form->audio.name = part->filename.n ? arena_str(rq->arena, part->filename) : STR("");
        return 0;
    }
    if (str_eqc(part->name, "transcript"))
        return read_text(rq, part->body, &form->transcript, e);
    if (str_eqc(part->name, "clientMessageId")) {
        form->client_id = part->body;
        return part->body.n <= LIMIT_ID && utf8_valid(part->body)
                   ? 0
                   : err_set(e, ERR_INVALID_REQUEST, "clientMessageId is too long");
    }
    return str_eqc(part->name, "language") ? speech_language(part->body, &form->language, e) : 0;
}

static int check_audio(const struct http_request *rq, const struct form *form, struct err *e)
{
    uint64_t most = api_of(rq)->config.max_file_size;
    most = most ? MIN(most, (uint64_t)AUDIO_FILE_MAX) : AUDIO_FILE_MAX;
    if (form->audio.bytes.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "An audio file is required");
    if (form->audio.bytes.n > most)
        return err_set(e, ERR_BODY_TOO_LARGE, "The audio file is larger than %llu bytes", (unsigned long long)most);
    return audio_check_upload(&form->audio, e);
}

static int read_form(struct http_request *rq, struct form *form, struct err *e)
{
    struct multipart m;
    struct multipart_part part;
    int more;
    *form = (struct form){.language = STR("")};
    if (multipart_init(&m, http_request_header(rq, STR("content-type")), rq->body, e) < 0)
        return -1;
    while ((more = multipart_next(&m, &part, e)) == 1)
        if (read_part(rq, &part, form, e) < 0)
            return -1;
    return more < 0 ? -1 : check_audio(rq, form, e);
}

/* ---- listening ---- */

/* A client that sends no text leaves it to the server's own recognizer. */
static int find_text(struct http_request *rq, struct form *form, struct err *e)
{
    struct api *api = api_of(rq);
    struct hearing_request request = {.stt = api->config.stt,
                                      .media = api->config.media,
                                      .audio = form->audio.bytes,
                                      .language = form->language,
                                      .prompt = STR("")};
    struct heard heard;
    if (form->transcript.n > 0)
        return 0;
    if (!api->config.stt)
        return err_set(e, ERR_INVALID_REQUEST, "A transcript is required: no speech recognition is configured");
    heard_init(&heard);
    int result = hear(&request, rq->arena, &heard, e);
    if (result == 0)
        form->transcript = str_trim(arena_str(rq->arena, buf_str(&heard.text)));
    heard_free(&heard);
    return result < 0 || form->transcript.n ? result : err_set(e, ERR_INVALID_REQUEST, "No speech was understood");
}

/* ---- answering ---- */

/* The dialect's text is `error`; why is `message`. What is not the client's doing has no why. */
static void refuse(struct http_request *rq, struct err *e)
{
    if (e->code != ERR_INVALID_REQUEST && e->code != ERR_BODY_TOO_LARGE) {
        speech_public_error(e);
        care_refuse(rq, e, FAILURE);
        return;
    }
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kstr(&w, "error", STR(FAILURE));
    jw_kstr(&w, "message", str_c(e->text));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    jw_end_obj(&w);
    http_reply_jw(rq, e->status, &w);
}

static void reply(struct http_request *rq, const struct care_said *said)
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    if (said->speech.url.n)
        jw_kstr(&w, "audioUrl", said->speech.url);
    jw_kstr(&w, "transcript", said->user.content);
    jw_key(&w, "message");
    put_care_message(&w, &said->reply, rq->arena);
    put_care_said(&w, said, rq->arena);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

/* The recording belongs to the message: when there comes to be none, it goes. Known for sure only at the turn's end, so
 * that is waited for when the client went away, too. */
static void say(struct http_request *rq, const struct user *user, const struct form *form, const char *name)
{
    struct care_say say = {.text = form->transcript, .client_id = form->client_id};
    struct care_said said;
    struct err e;
    if (name[0])
        say.audio_url = arena_printf(rq->arena, "/audio/%s", name);
    task_shield();
    int result = care_turn(rq, user, &say, &said, &e);
    task_unshield();
    if (result < 0 || said.duplicate)
        audio_drop(api_of(rq)->audio, str_c(name));
    if (result == 0)
        reply(rq, &said);
    else
        refuse(rq, &e);
}

void care_post_audio(struct http_request *rq)
{
    struct api *api = api_of(rq);
    struct care_view view;
    struct user user;
    struct form form;
    struct err e;
    char name[AUDIO_NAME] = "";
    if (care_enter(rq, &user) < 0)
        return;
    if (care_get(api->care, user.id, rq->params[0], 0, false, rq->arena, &view, &e) < 0) {
        care_refuse(rq, &e, FAILURE);
        return;
    }
    if (read_form(rq, &form, &e) < 0 || find_text(rq, &form, &e) < 0 ||
        (api->audio && audio_keep_upload(api->audio, &form.audio, name, &e) < 0))
        refuse(rq, &e);
    else
        say(rq, &user, &form, name);
}
