#include "speech/azure_speech/transcript.h"

#include "speech/azure_speech/result.h"

#define TEXT_MAX KIB(128)

void transcript_init(struct transcript *t)
{
    *t = (struct transcript){
        .phrases = BUF_INIT(TEXT_MAX), .text = BUF_INIT(2 * TEXT_MAX), .scratch = BUF_INIT(TEXT_MAX), .audio_ms = -1};
}

void transcript_free(struct transcript *t)
{
    buf_free(&t->phrases);
    buf_free(&t->text);
    buf_free(&t->scratch);
}

/* Whether the text ends with a character of the scripts that have no spaces: Han, kana, and their punctuation. */
static bool ends_unspaced(struct str text)
{
    unsigned char c = text.n >= 3 ? (unsigned char)text.p[text.n - 3] : 0;
    return (c >= 0xe3 && c <= 0xe9) || c == 0xef;
}

static int append(struct buf *out, struct str text, struct err *e)
{
    bool space = out->len > 0 && text.n > 0 && !ends_unspaced(buf_str(out));
    if ((space && buf_byte(out, ' ') < 0) || buf_str_add(out, text) < 0)
        return err_set(e, ERR_UPSTREAM, "Azure Speech sent more text than can have been said");
    return 0;
}

/* What was understood, up to where. */
static int show(struct transcript *t, struct str text, int64_t audio_ms, struct err *e)
{
    if (audio_ms >= 0)
        t->audio_ms = (int64_t)t->offset_ms + audio_ms;
    buf_clear(&t->text);
    if (buf_str_add(&t->text, buf_str(&t->phrases)) < 0 || append(&t->text, text, e) < 0)
        return -1;
    return TRANSCRIPT_TEXT;
}

static int take_hypothesis(struct transcript *t, struct str json, struct err *e)
{
    struct result result;
    if (result_read_hypothesis(&result, json, &t->scratch, e) < 0)
        return -1;
    return result.text.n == 0 ? TRANSCRIPT_NOTHING : show(t, result.text, result.audio_ms, e);
}

static int take_phrase(struct transcript *t, struct str json, struct err *e)
{
    struct result result;
    if (result_read(&result, json, &t->scratch, e) < 0 || append(&t->phrases, result.text, e) < 0)
        return -1;
    if (result.confidence >= 0 && result.text.n > 0) {
        t->confidences += result.confidence * (double)result.text.n;
        t->weight += (double)result.text.n;
    }
    return show(t, STR(""), result.audio_ms, e);
}

int transcript_take(struct transcript *t, const struct usp_message *m, struct err *e)
{
    buf_clear(&t->scratch);
    if (m->binary)
        return TRANSCRIPT_NOTHING;
    if (str_ieq(m->path, STR("speech.hypothesis")) || str_ieq(m->path, STR("speech.fragment")))
        return take_hypothesis(t, m->body, e);
    if (str_ieq(m->path, STR("speech.phrase")))
        return take_phrase(t, m->body, e);
    return str_ieq(m->path, STR("turn.end")) ? TRANSCRIPT_END : TRANSCRIPT_NOTHING;
}

double transcript_confidence(const struct transcript *t)
{
    return t->weight > 0 ? t->confidences / t->weight : -1;
}
