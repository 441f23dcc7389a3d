#include "api/hearing.h"

#include "api/hearing_cut.h"
#include "base/limits.h"
#include "loop/task.h"
#include "wire/base64.h"

#define RATE       16000
#define SLICE      KIB(64) /* of the input, handed over at a time; a multiple of four */
#define FINE_MIN   1000    /* ms of a segment */
#define FINE_MAX   28000
#define COARSE_MIN 20000
#define COARSE_MAX 50000 /* some services take a minute */
#define TRIES      20    /* of a later segment, when all recognizers are busy … */
#define TRY_WAIT   1000  /* … ms apart */

struct hearing {
    const struct hearing_request *rq;
    struct arena *arena;
    struct heard *heard;
    struct hearing_cutter cutter;
    struct buf told; /* of the segment under way */

    struct media_stream *decoder;
    struct task *feeder; /* NULL: there is none any more */
    struct waitlist feeder_ended;
    struct err fed; /* why it stopped feeding */
};

/* ---- what comes out ---- */

void heard_init(struct heard *heard)
{
    *heard = (struct heard){.text = BUF_INIT(LIMIT_REPLY_TEXT), .segments = BUF_INIT(SIZE_MAX)};
}

void heard_free(struct heard *heard)
{
    buf_free(&heard->text);
    buf_free(&heard->segments);
}

size_t heard_count(const struct heard *heard)
{
    return heard->segments.len / sizeof(struct heard_segment);
}

const struct heard_segment *heard_segment(const struct heard *heard, size_t i)
{
    return (const struct heard_segment *)(const void *)buf_str(&heard->segments).p + i;
}

struct str heard_text(const struct heard *heard, const struct heard_segment *segment)
{
    return str_n(buf_str(&heard->text).p + segment->from, segment->n);
}

double heard_confidence(const struct heard *heard)
{
    double sum = 0, weight = 0;
    for (size_t i = 0; i < heard_count(heard); i++) {
        const struct heard_segment *s = heard_segment(heard, i);
        if (s->confidence >= 0) {
            sum += s->confidence * (double)s->n;
            weight += (double)s->n;
        }
    }
    return weight > 0 ? sum / weight : -1;
}

/* ---- what goes in: a task of its own ---- */

static int feed_bytes(struct hearing *h, struct str bytes)
{
    while (bytes.n > 0) {
        struct str slice = str_n(bytes.p, MIN(bytes.n, SLICE));
        if (media_write(h->decoder, slice, &h->fed) < 0)
            return -1;
        bytes = str_from(bytes, slice.n);
    }
    return 0;
}

/* Takes characters off *text into `chars`, without the backslash that JSON may have in front of a slash. */
static size_t take_characters(struct str *text, char chars[SLICE])
{
    size_t n = 0, used = 0;
    while (used < text->n && n < SLICE) {
        bool escaped = text->p[used] == '\\' && used + 1 < text->n && text->p[used + 1] == '/';
        used += escaped;
        chars[n++] = text->p[used++];
    }
    *text = str_from(*text, used);
    return n;
}

static struct str without_data_url(struct str text)
{
    ptrdiff_t comma = str_starts(text, STR("data:")) ? str_find_char(text, ',') : -1;
    return str_from(text, (size_t)(comma + 1));
}

static int feed_base64(struct hearing *h)
{
    struct str text = without_data_url(h->rq->audio);
    struct buf chars = BUF_INIT(SLICE), bytes = BUF_INIT(SLICE);
    int result = 0;
    while (result == 0 && text.n > 0) {
        buf_clear(&chars);
        buf_clear(&bytes);
        buf_commit(&chars, take_characters(&text, buf_reserve(&chars, SLICE)));
        if (base64_decode(&bytes, buf_str(&chars)) < 0)
            result = err_set(&h->fed, ERR_INVALID_REQUEST, "The audio is not valid base64");
        else
            result = media_write(h->decoder, buf_str(&bytes), &h->fed);
    }
    buf_free(&chars);
    buf_free(&bytes);
    return result;
}

static void feeder_main(void *arg)
{
    struct hearing *h = arg;
    int fed = h->rq->base64 ? feed_base64(h) : feed_bytes(h, h->rq->audio);
    if (fed == 0)
        h->fed.code = ERR_NONE;
    media_finish(h->decoder, NULL); /* also after a failure: the reader has to come to an end */
    h->feeder = NULL;
    waitlist_wake_all(&h->feeder_ended);
}

static void feeder_stop(struct hearing *h)
{
    if (!h->feeder)
        return;
    task_cancel(h->feeder);
    task_shield();
    while (h->feeder)
        waitlist_wait(&h->feeder_ended, NULL);
    task_unshield();
}

/* ---- one segment ---- */

static int tell(struct hearing *h, struct str text, struct err *e)
{
    if (!h->rq->tell || text.n == 0)
        return 0;
    if (h->told.len == 0 && h->heard->text.len > 0 && h->rq->tell(h->rq->arg, STR(" "), e) < 0)
        return -1;
    buf_str_add(&h->told, text);
    return h->rq->tell(h->rq->arg, text, e);
}

/* What is told cannot be taken back: a partial result is told only when nothing of it will change. */
static int take_partial(struct hearing *h, const struct stt_event *event, struct err *e)
{
    if (!event->settled || !str_starts(event->text, buf_str(&h->told)))
        return 0;
    return tell(h, str_from(event->text, h->told.len), e);
}

static int take_final(struct hearing *h, const struct hearing_segment *segment, const struct stt_event *event,
                      struct err *e)
{
    struct heard *heard = h->heard;
    struct str text = str_trim(event->text);
    if (text.n == 0)
        return 0;
    if (str_starts(text, buf_str(&h->told)) && tell(h, str_from(text, h->told.len), e) < 0)
        return -1;
    if ((heard->text.len > 0 && buf_byte(&heard->text, ' ') < 0) || buf_str_add(&heard->text, text) < 0)
        return err_set(e, ERR_INTERNAL_ERROR, "The transcript is too long");
    struct heard_segment said = {.from = heard->text.len - text.n,
                                 .n = text.n,
                                 .start_ms = segment->start_ms,
                                 .end_ms = segment->end_ms,
                                 .confidence = event->confidence};
    return buf_add(&heard->segments, &said, sizeof said);
}

static int recognize(struct hearing *h, struct stt_stream *s, const struct hearing_segment *segment, struct err *e)
{
    struct stt_event event;
    int more;
    if (stt_write(s, segment->pcm, e) < 0 || stt_finish(s, e) < 0)
        return -1;
    while ((more = stt_next(s, &event, e)) == 1) {
        if (event.type == STT_FINAL)
            return take_final(h, segment, &event, e);
        if (take_partial(h, &event, e) < 0)
            return -1;
    }
    return more;
}

static int recognize_once(struct hearing *h, const struct hearing_segment *segment, struct err *e)
{
    struct stt_request request = {
        .rate = RATE, .language = h->rq->language, .prompt = h->rq->prompt, .partial = h->rq->tell != NULL};
    buf_clear(&h->told);
    struct stt_stream *s = stt_open(h->rq->stt, &request, h->arena, e);
    int result = s ? recognize(h, s, segment, e) : -1;
    stt_close(s);
    return result;
}

/* When all recognizers are busy, who comes new is refused; who has been heard in part waits. */
static int recognize_segment(struct hearing *h, const struct hearing_segment *segment, struct err *e)
{
    int tries = heard_count(h->heard) > 0 ? TRIES : 1;
    for (;;) {
        if (recognize_once(h, segment, e) == 0)
            return 0;
        if (e->code != ERR_OVERLOADED || h->told.len > 0 || --tries == 0 || task_sleep(TRY_WAIT, e) < 0)
            return -1;
    }
}

/* ---- all of it ---- */

static int recognize_ready(struct hearing *h, bool last, struct err *e)
{
    struct hearing_segment segment;
    while (hearing_cut_next(&h->cutter, last, &segment))
        if (!segment.silent && recognize_segment(h, &segment, e) < 0)
            return -1;
    return 0;
}

/* The next audio that was decoded, as media_read. */
static int decoded(struct hearing *h, struct str *pcm, struct err *e)
{
    int got = media_read(h->decoder, pcm, e);
    if (got <= 0 && h->fed.code == ERR_INVALID_REQUEST) {
        *e = h->fed;
        got = -1;
    }
    h->heard->bad_audio = got < 0 && e->code == ERR_INVALID_REQUEST;
    return got;
}

static int hear_all(struct hearing *h, struct err *e)
{
    struct str pcm;
    int got;
    while ((got = decoded(h, &pcm, e)) == 1) {
        hearing_cut_add(&h->cutter, pcm);
        if (recognize_ready(h, false, e) < 0)
            return -1;
    }
    h->heard->duration_ms = hearing_cut_ms(&h->cutter);
    if (got < 0)
        return -1;
    if (h->heard->duration_ms == 0) {
        h->heard->bad_audio = true;
        return err_set(e, ERR_INVALID_REQUEST, "The audio is empty");
    }
    return recognize_ready(h, true, e);
}

static int start(struct hearing *h, struct err *e)
{
    struct media_decode how = {.rate = RATE, .pcm_rate = h->rq->pcm_rate};
    if (!h->rq->stt)
        return err_set(e, ERR_NOT_CONFIGURED, "No speech recognition is configured");
    if (!h->rq->media)
        return err_set(e, ERR_NOT_CONFIGURED, "No audio can be decoded here");
    if (!task_room())
        return err_set(e, ERR_OVERLOADED, NULL);
    h->decoder = media_open_decode(h->rq->media, &how, e);
    if (!h->decoder)
        return -1;
    h->feeder = task_spawn("audio upload", feeder_main, h);
    return 0;
}

int hear(const struct hearing_request *rq, struct arena *arena, struct heard *heard, struct err *e)
{
    struct hearing h = {.rq = rq, .arena = arena, .heard = heard, .told = BUF_INIT(LIMIT_REPLY_TEXT)};
    struct hearing_cut_config cuts = {
        .rate = RATE, .min_ms = rq->fine ? FINE_MIN : COARSE_MIN, .max_ms = rq->fine ? FINE_MAX : COARSE_MAX};
    heard->bad_audio = false;
    waitlist_init(&h.feeder_ended);
    hearing_cut_init(&h.cutter, &cuts);
    int result = start(&h, e) < 0 ? -1 : hear_all(&h, e);
    feeder_stop(&h);
    media_close(h.decoder);
    hearing_cut_free(&h.cutter);
    buf_free(&h.told);
    return result;
}
