#include "api/aimcs_audio.h"

#include "wire/base64.h"

#define TEXT_PIECE   (AUDIO_PIECE / 3 * 4 - 4) /* with what the piece before left over */
#define ESCAPE_MAX   6                         /* \uXXXX */
#define URL_HEAD_MAX 256                       /* of a data URL: "data:audio/webm;codecs=opus;base64," */
#define PCM_RATE     16000                     /* where the name says none */

void audio_text_init(struct audio_text *t, const struct json_value *value)
{
    *t = (struct audio_text){.rest = value->raw, .escaped = value->escaped};
    buf_init(&t->text, AUDIO_PIECE * 2);
    buf_init(&t->bytes, AUDIO_PIECE);
    if (str_starts(t->rest, STR("data:"))) {
        ptrdiff_t comma = str_find_char(str_n(t->rest.p, MIN(t->rest.n, (size_t)URL_HEAD_MAX)), ',');
        t->rest = str_from(t->rest, comma < 0 ? 0 : (size_t)comma + 1);
    }
}

void audio_text_free(struct audio_text *t)
{
    buf_free(&t->text);
    buf_free(&t->bytes);
}

/* Never ends inside an escape. */
static struct str take_text(struct audio_text *t)
{
    size_t n = MIN(t->rest.n, (size_t)TEXT_PIECE);
    for (size_t back = 1; t->escaped && n < t->rest.n && back < ESCAPE_MAX; back++)
        if (t->rest.p[n - back] == '\\') {
            n -= back;
            break;
        }
    struct str piece = {t->rest.p, n};
    t->rest = str_from(t->rest, n);
    return piece;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void add_text(struct audio_text *t, struct str text)
{
    size_t plain = 0;
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && !is_space(text.p[i]))
            continue;
        buf_add(&t->text, text.p + plain, i - plain);
        plain = i + 1;
    }
}

static void read_piece(struct audio_text *t)
{
    struct buf plain = BUF_INIT(TEXT_PIECE + ESCAPE_MAX);
    struct str piece = take_text(t);
    if (piece.n)
        add_text(t, json_text(&(struct json_value){JSON_STRING, t->escaped, piece}, &plain));
    buf_free(&plain);
}

int audio_text_next(struct audio_text *t, struct str *bytes)
{
    buf_clear(&t->bytes);
    while (t->bytes.len == 0 && (t->rest.n || t->text.len)) {
        read_piece(t);
        size_t n = t->rest.n ? t->text.len / 4 * 4 : t->text.len;
        if (base64_decode(&t->bytes, str_n(buf_str(&t->text).p, n)) < 0)
            return -1;
        buf_consume(&t->text, n);
    }
    *bytes = buf_str(&t->bytes);
    return bytes->n > 0;
}

bool audio_begins(struct str slice)
{
    static const struct str heads[] = {
        {"\x1a\x45\xdf\xa3", 4}, {"RIFF", 4}, {"RF64", 4}, {"fLaC", 4}, {"ID3", 3},
    };
    for (size_t i = 0; i < COUNT(heads); i++)
        if (str_starts(slice, heads[i]))
            return true;
    if (str_starts(slice, STR("OggS"))) /* so does every page: the first of a stream says so */
        return slice.n > 5 && (slice.p[5] & 2);
    return slice.n >= 8 && memcmp(slice.p + 4, "ftyp", 4) == 0;
}

bool audio_may_begin(struct str slice)
{
    return audio_begins(slice) || (slice.n >= 2 && (uint8_t)slice.p[0] == 0xFF && ((uint8_t)slice.p[1] & 0xE0) == 0xE0);
}

static unsigned rate_of(struct str parameters)
{
    struct str piece;
    uint64_t rate;
    while (str_split(&parameters, ';', &piece)) {
        struct str name, value = str_trim(piece);
        if (str_split(&value, '=', &name) && value.p &&
            (str_ieq(name, STR("rate")) || str_ieq(name, STR("samplerate"))))
            return str_u64(value, &rate) == 0 && rate >= 8000 && rate <= 48000 ? (unsigned)rate : PCM_RATE;
    }
    return PCM_RATE;
}

unsigned audio_pcm_rate(struct str format)
{
    static const char *const names[] = {"audio/pcm", "audio/l16", "audio/raw", "pcm", "pcm16", "raw"};
    struct str type, rest = format;
    if (!str_split(&rest, ';', &type))
        return 0;
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_ieq(str_trim(type), str_c(names[i])))
            return rate_of(rest);
    return 0;
}
