#include "speech/speech_driver.h"

#include "base/utf8.h"

#define RATE_DEFAULT 24000
#define RATE_MIN     8000
#define RATE_MAX     48000
#define SPEED_MIN    0.25
#define SPEED_MAX    4.0

static const struct {
    const char *name, *type;
} formats[SPEECH_FORMATS] = {
    [SPEECH_MP3] = {"mp3", "audio/mpeg"},   [SPEECH_OPUS] = {"opus", "audio/ogg"}, [SPEECH_AAC] = {"aac", "audio/aac"},
    [SPEECH_FLAC] = {"flac", "audio/flac"}, [SPEECH_WAV] = {"wav", "audio/wav"},   [SPEECH_PCM] = {"pcm", "audio/pcm"},
};

const char *speech_format_name(enum speech_format format)
{
    return formats[format].name;
}

const char *speech_format_type(enum speech_format format)
{
    return formats[format].type;
}

enum speech_format speech_format_find(struct str name)
{
    for (int i = 0; i < SPEECH_FORMATS; i++)
        if (str_eqc(name, formats[i].name))
            return (enum speech_format)i;
    return SPEECH_FORMATS;
}

/* Characters of valid text. */
static size_t count_characters(struct str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return n;
}

static int check_rate(unsigned rate, struct err *e)
{
    if (rate >= RATE_MIN && rate <= RATE_MAX)
        return 0;
    return err_set(e, ERR_INVALID_REQUEST, "The sample rate must be %d to %d Hz", RATE_MIN, RATE_MAX);
}

/* Fills in what the request left open. */
static int check_tts(struct tts_request *rq, struct err *e)
{
    if (rq->speed == 0)
        rq->speed = 1;
    if (rq->rate == 0)
        rq->rate = RATE_DEFAULT;
    if (!utf8_valid(rq->text))
        return err_set(e, ERR_INVALID_REQUEST, "The text is not valid UTF-8");
    if (str_trim(rq->text).n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "There is no text to speak");
    if (count_characters(rq->text) > SPEECH_TEXT_MAX)
        return err_set(e, ERR_INVALID_REQUEST, "The text to speak has more than %d characters", SPEECH_TEXT_MAX);
    if (count_characters(rq->instructions) > SPEECH_TEXT_MAX)
        return err_set(e, ERR_INVALID_REQUEST, "The instructions have more than %d characters", SPEECH_TEXT_MAX);
    if (!(rq->speed >= SPEED_MIN && rq->speed <= SPEED_MAX))
        return err_set(e, ERR_INVALID_REQUEST, "The speed must be %g to %g", SPEED_MIN, SPEED_MAX);
    if ((int)rq->format < 0 || rq->format >= SPEECH_FORMATS)
        return err_set(e, ERR_INVALID_REQUEST, "There is no such audio format");
    return check_rate(rq->rate, e);
}

struct tts_stream *tts_open(struct tts *tts, const struct tts_request *rq, struct arena *arena, struct err *e)
{
    struct tts_request *whole = arena_alloc(arena, sizeof *whole);
    *whole = *rq;
    return check_tts(whole, e) < 0 ? NULL : tts->ops->open(tts, whole, arena, e);
}

int tts_next(struct tts_stream *s, struct str *audio, struct err *e)
{
    *audio = STR("");
    return s->ops->next(s, audio, e);
}

struct tts_stream *tts_close(struct tts_stream *s)
{
    if (s)
        s->ops->close(s);
    return NULL;
}

const char *tts_name(const struct tts *tts)
{
    return tts->ops->name;
}

struct tts *tts_free(struct tts *tts)
{
    if (tts)
        tts->ops->free(tts);
    return NULL;
}

struct stt_stream *stt_open(struct stt *stt, const struct stt_request *rq, struct arena *arena, struct err *e)
{
    struct stt_request *whole = arena_alloc(arena, sizeof *whole);
    *whole = *rq;
    return check_rate(rq->rate, e) < 0 ? NULL : stt->ops->open(stt, whole, arena, e);
}

int stt_write(struct stt_stream *s, struct str pcm, struct err *e)
{
    if (pcm.n % sizeof(int16_t) != 0)
        return err_set(e, ERR_INVALID_REQUEST, "The audio ends within a sample");
    return pcm.n == 0 ? 0 : s->ops->write(s, pcm, e);
}

int stt_finish(struct stt_stream *s, struct err *e)
{
    return s->ops->finish(s, e);
}

int stt_next(struct stt_stream *s, struct stt_event *event, struct err *e)
{
    *event = (struct stt_event){.type = STT_PARTIAL, .text = STR(""), .confidence = -1};
    return s->ops->next(s, event, e);
}

struct stt_stream *stt_close(struct stt_stream *s)
{
    if (s)
        s->ops->close(s);
    return NULL;
}

const char *stt_name(const struct stt *stt)
{
    return stt->ops->name;
}

struct stt *stt_free(struct stt *stt)
{
    if (stt)
        stt->ops->free(stt);
    return NULL;
}
