/* Spoken replies: the whole text as one MP3. */
#include "base/log.h"
#include "chat/care_impl.h"
#include "chat/voice_output.h"
#include "chat/voice_script_impl.h"

#define SENTENCE_MAX 600
#define PIECE_MAX    3800            /* bytes, and so at most SPEECH_TEXT_MAX characters, of one request */
#define SPOKEN_MAX   (2 * PIECE_MAX) /* some eight minutes; the text says the rest */
#define AUDIO_MAX    MIB(16)
#define SPEAK_MS     60000
#define URL_PREFIX   "/audio/"

/* The next piece that is to be read aloud: whole sentences, as many as go into one request. */
static void next_piece(struct voice_script *script, struct str *text, struct buf *piece)
{
    size_t n;
    buf_clear(piece);
    while (piece->len + SENTENCE_MAX < PIECE_MAX && (n = voice_sentence(*text, SENTENCE_MAX, true)) > 0) {
        size_t before = piece->len;
        if (before)
            buf_byte(piece, ' ');
        if (!voice_script_add(script, str_n(text->p, n), piece))
            piece->len = before;
        *text = str_from(*text, n);
    }
}

static int speak_piece(struct care *care, struct str text, struct str voice, struct buf *audio, struct err *e)
{
    struct arena *arena = arena_new("care_speech");
    struct tts_request rq = {.text = text, .voice = voice, .format = SPEECH_MP3};
    struct tts_stream *stream = tts_open(care->config.tts, &rq, arena, e);
    struct str bytes;
    int more = stream ? 1 : -1;
    while (more == 1 && (more = tts_next(stream, &bytes, e)) == 1)
        if (buf_str_add(audio, bytes) < 0)
            more = err_set(e, ERR_INTERNAL_ERROR, "The audio is too long");
    tts_close(stream);
    arena_free(arena);
    return more;
}

static int speak_all(struct care *care, const struct care_spoken *spoken, struct buf *audio, struct err *e)
{
    struct voice_script script = {0};
    struct buf piece = BUF_INIT(LIMIT_MESSAGE_TEXT);
    struct str rest = spoken->text;
    size_t said = 0;
    int result = 0;
    while (result == 0 && rest.n && said < SPOKEN_MAX) {
        next_piece(&script, &rest, &piece);
        said += piece.len;
        if (str_trim(buf_str(&piece)).n)
            result = speak_piece(care, buf_str(&piece), spoken->voice, audio, e);
    }
    buf_free(&piece);
    return result;
}

static int hand_over(struct care *care, const struct care_spoken *spoken, struct buf *audio, struct arena *arena,
                     struct care_speech *out, struct err *e)
{
    char name[CARE_AUDIO_NAME];
    const struct care_audio *files = &care->config.audio;
    if (!spoken->keep) {
        out->audio = arena_str(arena, buf_str(audio));
        return 0;
    }
    if (!files->keep)
        return err_set(e, ERR_NOT_CONFIGURED, NULL);
    if (files->keep(files->arg, SPEECH_MP3, buf_str(audio), name, e) < 0)
        return -1;
    out->url = arena_printf(arena, URL_PREFIX "%s", name);
    return 0;
}

void care_speak(struct care *care, const struct care_spoken *spoken, struct arena *arena, struct care_speech *out)
{
    struct buf audio = BUF_INIT(AUDIO_MAX);
    struct task_deadline deadline;
    struct err e = {0};
    *out = (struct care_speech){0};
    if (!care->config.tts || str_trim(spoken->text).n == 0)
        return;
    task_deadline_begin(&deadline, SPEAK_MS);
    int result = speak_all(care, spoken, &audio, &e);
    if (result == 0 && audio.len)
        result = hand_over(care, spoken, &audio, arena, out, &e);
    task_deadline_end(&deadline);
    if (result < 0 && e.code != ERR_CANCELLED)
        log_warn("care", "not_spoken", F_C("code", err_name(e.code)));
    buf_free(&audio);
}

void care_drop_audio(struct care *care, struct str url)
{
    const struct care_audio *files = &care->config.audio;
    struct str prefix = STR(URL_PREFIX);
    if (files->drop && str_starts(url, prefix) && url.n > prefix.n)
        files->drop(files->arg, str_from(url, prefix.n));
}
