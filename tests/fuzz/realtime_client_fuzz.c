/* What clients of realtime voice send, before the engine hears of it: sessions, items and responses of any JSON are
 * read or refused, and whatever was taken is shown as JSON again. Input: a byte that says which (and whether it is the
 * preview's), then JSON. */
#include "fuzz.h"

#include "api/realtime_impl.h"
#include "base/log.h"
#include "wire/json.h"

#define MAX_SIZE KIB(16)

static struct api api;

static void check_json(struct str text)
{
    enum json_type root;
    struct err e;
    CHECK(json_scan(text, NULL, 0, &root, &e) == 0 && root == JSON_OBJECT);
}

/* A refusal says what is wrong, and about what, in text that can be sent. */
static void check_error(const struct realtime_error *e)
{
    CHECK(e->code && e->code[0] && e->text[0]);
    CHECK(utf8_valid(str_c(e->text)) && utf8_valid(str_c(e->param)));
}

static void check_shown(const struct realtime *rt)
{
    struct buf out = BUF_INIT(MIB(1));
    struct jw w = jw_begin(&out);
    realtime_session_put(&w, rt);
    CHECK(jw_ok(&w));
    check_json(buf_str(&out));
    buf_free(&out);
}

static int read_session(struct realtime *rt, const struct realtime_reader *r)
{
    struct realtime_session changed = rt->session;
    if ((rt->beta ? realtime_session_read_beta(&changed, r) : realtime_session_read(&changed, r)) < 0)
        return -1;
    CHECK(changed.speed >= 0.25 && changed.speed <= 1.5 && changed.threshold >= 0 && changed.threshold <= 1);
    CHECK(changed.input < REALTIME_FORMATS && changed.output < REALTIME_FORMATS && changed.max_tokens >= 0);
    realtime_session_adopt(rt, &changed);
    struct voice_settings settings = realtime_voice_settings(rt, &rt->session);
    CHECK(settings.input_rate == REALTIME_RATE && settings.output_rate == REALTIME_RATE);
    check_shown(rt);
    return 0;
}

static int read_item(struct realtime *rt, const struct realtime_reader *r, struct arena *arena)
{
    struct realtime_item item;
    struct realtime_error e;
    struct buf pcm = BUF_INIT(REALTIME_AUDIO_MAX);
    if (realtime_item_read(rt, r, arena, &item) < 0)
        return -1;
    CHECK(item.text.kind <= VOICE_ITEM_SYSTEM && item.text.id.n < VOICE_ID);
    if (item.is_audio && realtime_audio_decode(&item.audio, &e) == 0 &&
        realtime_audio_convert(rt, item.audio, &pcm, &e) == 0)
        CHECK(pcm.len % 2 == 0);
    buf_free(&pcm);
    return 0;
}

static int read_response(struct realtime *rt, const struct realtime_reader *r, struct arena *arena)
{
    struct voice_ask ask;
    if (realtime_ask_read(rt, r, arena, &ask) < 0)
        return -1;
    CHECK(ask.max_tokens >= 0 && (ask.ninput == 0 || ask.input));
    if (ask.metadata.n)
        check_json(ask.metadata);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct realtime_error error = {0};
    struct err e;
    struct str rest = str_n(data, size);
    /* References ask the engine, which is not here. */
    if (size < 2 || size > MAX_SIZE || str_find(rest, STR("reference")) >= 0 || str_find(rest, STR("\\u")) >= 0)
        return 0;
    struct realtime rt = {.api = &api, .beta = data[0] & 4};
    struct arena *arena = arena_new("fuzz");
    rest = str_from(rest, 1);
    struct str text = fuzz_piece(&rest, rest.n);
    realtime_session_init(&rt, STR("model"), data[0] & 8);
    if (data[0] & 16)
        rt.session.input = rt.session.output = REALTIME_PCMA;
    const struct realtime_reader r = {json_parse(arena, text, &e), "x", &error};
    int which = data[0] & 3, result = 0;
    if (cJSON_IsObject(r.obj))
        result = which == 0   ? read_session(&rt, &r)
                 : which == 1 ? read_item(&rt, &r, arena)
                              : read_response(&rt, &r, arena);
    if (result < 0)
        check_error(&error);
    realtime_session_free(&rt.session);
    fuzz_piece_free(text);
    arena_free(arena);
    return 0;
}
