#include "speech/reply.h"

#include "client/refusal.h"
#include "speech/wav.h"

#define REFUSAL_MAX KIB(64)
#define AUDIO_MAX   MIB(64) /* 4096 characters at a quarter of the speed are some 56 MB of PCM */

/* Sets *e from a body that begins with what was read of it already. */
static int refused(struct fetch *fetch, struct str first, struct str key, struct err *e)
{
    struct buf body = BUF_INIT(REFUSAL_MAX);
    struct err cut = {0};
    buf_add(&body, first.p, MIN(first.n, REFUSAL_MAX));
    /* What could be read of it is good enough. */
    fetch_read_all(fetch, &body, REFUSAL_MAX, &cut);
    int status = fetch_status(fetch);
    refusal_error(buf_str(&body), status / 100 == 2 ? 0 : status < 400 ? 502 : status, key, e);
    if (e)
        e->retry_after_ms = (int)fetch_retry_after_ms(fetch);
    if (cut.code == ERR_CANCELLED && e)
        *e = cut;
    buf_free(&body);
    return -1;
}

int reply_refused(struct fetch *fetch, struct str key, struct err *e)
{
    return refused(fetch, STR(""), key, e);
}

static bool type_is(struct str type, struct str prefix)
{
    return type.n >= prefix.n && str_ieq(str_n(type.p, prefix.n), prefix);
}

/* Services say octet-stream of anything, or nothing at all. */
static bool may_be_audio(struct str type)
{
    return type.n == 0 || type_is(type, STR("audio/")) || type_is(type, STR("application/octet-stream")) ||
           type_is(type, STR("application/ogg")) || type_is(type, STR("binary/octet-stream"));
}

/* No container begins with a brace; PCM may. */
static bool looks_like_json(struct str first, bool samples)
{
    return samples ? str_starts(first, STR("{\"error\"")) : str_starts(first, STR("{"));
}

static int read_piece(struct audio_reply *r, struct str *piece, struct err *e)
{
    int more = fetch_read(r->fetch, piece, e);
    if (more <= 0)
        return more;
    r->total += piece->n;
    return r->total <= AUDIO_MAX ? 1 : err_set(e, ERR_UPSTREAM, "The service sent more audio than the text can have");
}

/* Nothing that could be heard came. */
static int check_audible(const struct audio_reply *r, struct err *e)
{
    return r->total >= (r->samples ? 2 : 1) ? 0 : err_set(e, ERR_UPSTREAM, "The service sent no audio");
}

int audio_reply_begin(struct audio_reply *r, struct fetch *fetch, const struct tts_request *rq, unsigned made,
                      struct str key, struct err *e)
{
    bool samples = rq->format == SPEECH_PCM || rq->format == SPEECH_WAV;
    *r = (struct audio_reply){.fetch = fetch, .samples = samples, .in = BUF_INIT(SIZE_MAX), .out = BUF_INIT(SIZE_MAX)};
    if (fetch_status(fetch) / 100 != 2 || !may_be_audio(fetch_header(fetch, "content-type")))
        return reply_refused(fetch, key, e);
    int more = read_piece(r, &r->first, e);
    if (more < 0)
        return -1;
    if (more == 0)
        return check_audible(r, e);
    if (looks_like_json(r->first, samples))
        return refused(fetch, r->first, key, e);
    if (samples && made != rq->rate)
        r->resampler = resampler_new(made, rq->rate);
    if (rq->format == SPEECH_WAV) {
        wav_head(buf_reserve(&r->out, WAV_HEAD), rq->rate);
        buf_commit(&r->out, WAV_HEAD);
    }
    return 0;
}

static int take_piece(struct audio_reply *r, struct str *piece, struct err *e)
{
    if (r->first.n == 0)
        return read_piece(r, piece, e);
    *piece = r->first;
    r->first = STR_NONE;
    return 1;
}

static void put_samples(struct audio_reply *r, struct str piece)
{
    buf_str_add(&r->in, piece);
    struct str whole = str_n(buf_str(&r->in).p, r->in.len / 2 * 2);
    if (r->resampler)
        resampler_push(r->resampler, whole, &r->out);
    else
        buf_str_add(&r->out, whole);
    buf_consume(&r->in, whole.n);
}

/* As PCM came, so it goes, but in whole samples and at the other rate. 1 when there is some. */
static int next_samples(struct audio_reply *r, struct err *e)
{
    struct str piece;
    while (!r->ended) {
        int more = take_piece(r, &piece, e);
        if (more < 0)
            return -1;
        r->ended = more == 0;
        if (more)
            put_samples(r, piece);
        else if (r->resampler)
            resampler_finish(r->resampler, &r->out);
        if (r->out.len > 0)
            return 1;
    }
    return check_audible(r, e);
}

int audio_reply_next(struct audio_reply *r, struct str *audio, struct err *e)
{
    if (!r->samples)
        return take_piece(r, audio, e);
    if (r->first.n == 0) /* else it has the head of a WAV, which is to be read yet */
        buf_clear(&r->out);
    int more = next_samples(r, e);
    if (more > 0)
        *audio = buf_str(&r->out);
    return more;
}

void audio_reply_end(struct audio_reply *r)
{
    fetch_close(r->fetch);
    resampler_free(r->resampler);
    buf_free(&r->in);
    buf_free(&r->out);
}
