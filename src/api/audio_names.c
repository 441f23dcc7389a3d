#include "api/audio_names.h"

#include "base/rand.h"

#include <inttypes.h>
#include <stdio.h>

#define RANDOM     16 /* bytes of a name: 128 bits */
#define HEX        (2 * RANDOM)
#define MS_DIGITS  19 /* of an int64_t */
#define GIVEN_MOST 40 /* bytes of a client's file name that are kept: the last ones, which have its ending */
#define NAMELESS   "audio"

/* ---- reading ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_harmless(char c)
{
    return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
}

/* Takes the bytes of a kind off the front; how many there were. */
static size_t take(struct str *rest, bool (*is)(char c))
{
    size_t n = 0;
    while (n < rest->n && is(rest->p[n]))
        n++;
    *rest = str_from(*rest, n);
    return n;
}

static bool take_char(struct str *rest, char c)
{
    bool there = rest->n > 0 && rest->p[0] == c;
    *rest = str_from(*rest, there);
    return there;
}

static bool take_random(struct str *rest)
{
    for (size_t i = 0; i < HEX; i++)
        if (i >= rest->n || !is_hex(rest->p[i]))
            return false;
    *rest = str_from(*rest, HEX);
    return true;
}

static bool take_ms(struct str *rest)
{
    size_t digits = take(rest, is_digit);
    return digits > 0 && digits <= MS_DIGITS && take_char(rest, '-');
}

static struct audio_name with_format(enum audio_kind kind, struct str rest)
{
    enum speech_format format = take_char(&rest, '.') ? speech_format_find(rest) : SPEECH_FORMATS;
    return (struct audio_name){format == SPEECH_FORMATS ? AUDIO_FOREIGN : kind, format};
}

static bool is_given(struct str rest)
{
    struct str left = rest;
    return rest.n > 0 && rest.n <= GIVEN_MOST && rest.p[0] != '.' && str_find(rest, STR("..")) < 0 &&
           !str_ends(rest, STR(AUDIO_UNFINISHED)) && take(&left, is_harmless) == rest.n;
}

struct audio_name audio_name_read(struct str name)
{
    struct str rest = name;
    if (name.n >= AUDIO_NAME)
        return (struct audio_name){AUDIO_FOREIGN, SPEECH_FORMATS};
    if (take_random(&rest) && rest.n > 0 && rest.p[0] == '.')
        return with_format(AUDIO_BRIEF, rest);
    rest = name;
    if (take_ms(&rest) && take_random(&rest) && take_char(&rest, '-') && is_given(rest))
        return (struct audio_name){AUDIO_UPLOAD, SPEECH_FORMATS};
    rest = name;
    if (take(&rest, is_lower) > 0 && take_char(&rest, '-') && take_ms(&rest) && take_random(&rest))
        return with_format(AUDIO_LASTING, rest);
    return (struct audio_name){AUDIO_FOREIGN, SPEECH_FORMATS};
}

/* ---- making ---- */

static void make_random(char hex[HEX + 1])
{
    unsigned char random[RANDOM];
    rand_bytes(random, sizeof random);
    hex_encode(hex, random, sizeof random);
}

void audio_name_brief(char name[AUDIO_NAME], enum speech_format format)
{
    char random[HEX + 1];
    make_random(random);
    snprintf(name, AUDIO_NAME, "%s.%s", random, speech_format_name(format));
}

void audio_name_lasting(char name[AUDIO_NAME], const char *prefix, enum speech_format format, int64_t ms)
{
    char random[HEX + 1];
    make_random(random);
    snprintf(name, AUDIO_NAME, "%s-%" PRId64 "-%s.%s", prefix, ms, random, speech_format_name(format));
}

static struct str without_folders(struct str given)
{
    for (size_t i = given.n; i-- > 0;)
        if (given.p[i] == '/' || given.p[i] == '\\')
            return str_from(given, i + 1);
    return given;
}

/* Runs of dots and of what is replaced become one; none at the ends. */
static void make_harmless(char out[GIVEN_MOST + 1], struct str given)
{
    size_t n = 0;
    for (size_t i = 0; i < given.n && n < GIVEN_MOST; i++) {
        char c = is_harmless(given.p[i]) ? given.p[i] : '_';
        bool repeats = n > 0 && (c == '.' || c == '_') && out[n - 1] == c;
        if (!repeats && !(n == 0 && c == '.'))
            out[n++] = c;
    }
    while (n > 0 && out[n - 1] == '.')
        n--;
    out[n] = 0;
}

void audio_name_upload(char name[AUDIO_NAME], struct str given, int64_t ms)
{
    char random[HEX + 1], safe[GIVEN_MOST + 1];
    given = without_folders(given);
    make_harmless(safe, str_from(given, given.n > GIVEN_MOST ? given.n - GIVEN_MOST : 0));
    if (str_ends(str_c(safe), STR(AUDIO_UNFINISHED)))
        safe[strlen(safe) - (sizeof AUDIO_UNFINISHED - 1)] = '_';
    make_random(random);
    snprintf(name, AUDIO_NAME, "%" PRId64 "-%s-%s", ms, random, safe[0] ? safe : NAMELESS);
}

/* ---- content ---- */

/* MPEG audio, layer I to III, no free or forbidden bit rate, a known sample rate; ADTS has layer 0. */
static const char *type_of_frame(struct str head)
{
    if (head.n < 4 || (unsigned char)head.p[0] != 0xff || ((unsigned char)head.p[1] & 0xe0) != 0xe0)
        return NULL;
    unsigned second = (unsigned char)head.p[1], third = (unsigned char)head.p[2];
    if ((second & 0xf6) == 0xf0)
        return (third >> 2 & 15) < 13 ? "audio/aac" : NULL;
    bool known = (second & 0x18) != 0x08 && (second & 6) != 0 && (third & 0xf0) != 0 && (third & 0xf0) != 0xf0 &&
                 (third & 0x0c) != 0x0c;
    return known ? "audio/mpeg" : NULL;
}

/* The DocType of an EBML head is in its first bytes, whatever program wrote it. */
static const char *type_of_ebml(struct str head)
{
    if (str_find(head, STR("webm")) >= 0)
        return "audio/webm";
    return str_find(head, STR("matroska")) >= 0 ? "audio/x-matroska" : NULL;
}

const char *audio_type_of(struct str head)
{
    if (str_starts(head, STR("\x1a\x45\xdf\xa3")))
        return type_of_ebml(str_n(head.p, head.n < AUDIO_HEAD ? head.n : AUDIO_HEAD));
    if (str_starts(head, STR("RIFF")) && str_starts(str_from(head, 8), STR("WAVE")))
        return "audio/wav";
    if (str_starts(head, STR("OggS")))
        return "audio/ogg";
    if (str_starts(head, STR("fLaC")))
        return "audio/flac";
    if (str_starts(head, STR("ID3")))
        return "audio/mpeg";
    if (str_starts(str_from(head, 4), STR("ftyp")))
        return "audio/mp4";
    return type_of_frame(head);
}
