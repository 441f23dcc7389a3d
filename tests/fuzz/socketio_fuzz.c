/* Socket.IO packets: what is taken obeys the rules, with cJSON as a second opinion on the data, and can be written and
 * read again; arguments put into an event or acknowledgement of our own survive. The first byte is the limit of
 * attachments. */
#include "fuzz.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/macros.h"
#include "base/utf8.h"
#include "wire/socketio.h"

#define MAX_SIZE    4096
#define MAX_WRITTEN KIB(64)

static bool is_binary(const struct sio_packet *p)
{
    return p->type == SIO_BINARY_EVENT || p->type == SIO_BINARY_ACK;
}

static bool is_event(const struct sio_packet *p)
{
    return p->type == SIO_EVENT || p->type == SIO_BINARY_EVENT;
}

static bool is_ack(const struct sio_packet *p)
{
    return p->type == SIO_ACK || p->type == SIO_BINARY_ACK;
}

static bool inside(struct str slice, struct str text)
{
    return slice.p >= text.p && slice.p + slice.n <= text.p + text.n;
}

static void check_rules(const struct sio_packet *p, struct str text, unsigned limit)
{
    CHECK(p->type <= SIO_BINARY_ACK);
    CHECK(is_binary(p) ? p->attachments >= 1 && p->attachments <= MIN(limit, SIO_ATTACHMENTS_MAX) : !p->attachments);
    CHECK(p->nsp.n >= 1 && p->nsp.p[0] == '/' && utf8_valid(p->nsp) && str_find_char(p->nsp, ',') < 0);
    CHECK(inside(p->nsp, text) || str_eqc(p->nsp, "/"));
    CHECK(p->data.type == JSON_NONE || inside(p->data.raw, text));
    CHECK(!p->has_id || is_event(p) || is_ack(p));
    CHECK(p->has_id || !is_ack(p));
    CHECK((p->name.type != JSON_NONE) == is_event(p) && !sio_reserved(&p->name));
    CHECK(p->data.type == JSON_ARRAY || (!is_event(p) && !is_ack(p)));
    CHECK(p->data.type == JSON_NONE || p->type != SIO_DISCONNECT);
    CHECK(p->data.type == JSON_NONE || p->data.type == JSON_OBJECT || p->type != SIO_CONNECT);
}

static bool is_mark(const cJSON *object)
{
    for (const cJSON *m = object->child; cJSON_IsObject(object) && m; m = m->next)
        if (strcmp(m->string, "_placeholder") == 0 && cJSON_IsTrue(m))
            return true;
    return false;
}

/* The number of placeholders in a tree, whose nesting its parser bounds. */
static unsigned count_marks(const cJSON *root, uint64_t *nums)
{
    const cJSON *stack[LIMIT_JSON_DEPTH + 1];
    size_t depth = 0;
    unsigned count = 0;
    stack[depth++] = root;
    while (depth) {
        const cJSON *item = stack[depth - 1];
        if (is_mark(item)) {
            count++;
            *nums |= UINT64_C(1) << ((unsigned)json_num(item, "num", 0) & 63);
        }
        if (item->child) {
            CHECK(depth <= LIMIT_JSON_DEPTH);
            stack[depth++] = item->child;
            continue;
        }
        while (depth > 1 && !stack[depth - 1]->next)
            depth--;
        if (depth == 1)
            break;
        stack[depth - 1] = stack[depth - 1]->next;
    }
    return count;
}

static void check_places(const struct sio_packet *p)
{
    struct sio_place places[SIO_ATTACHMENTS_MAX];
    uint64_t seen = 0, nums = 0;
    size_t n = sio_places(p, places);
    CHECK(n == p->attachments);
    for (size_t i = 0; i < n; i++) {
        struct json_want wants[] = {{.path = "_placeholder"}, {.path = "num"}};
        CHECK(inside(places[i].text, p->data.raw) && places[i].num < n);
        CHECK(i == 0 || places[i].text.p >= places[i - 1].text.p + places[i - 1].text.n);
        CHECK(json_scan(places[i].text, wants, 2, NULL, NULL) == 0);
        CHECK(wants[0].value.type == JSON_TRUE && json_int(&wants[1].value, -1) == (int64_t)places[i].num);
        seen |= UINT64_C(1) << places[i].num;
    }
    CHECK(n == 0 || seen == UINT64_MAX >> (64 - n));
    struct arena *a = arena_new("fuzz");
    const cJSON *tree = is_binary(p) ? json_parse(a, p->data.raw, NULL) : NULL;
    if (tree)
        CHECK(count_marks(tree, &nums) == n && nums == seen);
    arena_free(a);
}

static void check_written(const struct sio_packet *p)
{
    struct buf out = BUF_INIT(MAX_WRITTEN);
    struct sio_packet back;
    CHECK(sio_put(&out, p) == 0);
    CHECK(sio_decode(buf_str(&out), SIO_ATTACHMENTS_MAX, &back, NULL) == 0);
    CHECK(back.type == p->type && back.attachments == p->attachments && back.has_id == p->has_id && back.id == p->id);
    CHECK(str_eq(back.nsp, p->nsp) && back.data.type == p->data.type && str_eq(back.data.raw, p->data.raw));
    CHECK(back.name.type == p->name.type && str_eq(back.name.raw, p->name.raw));
    buf_free(&out);
}

/* The arguments as those of an event and an acknowledgement of ours. */
static void check_args(const struct sio_packet *p)
{
    struct buf out = BUF_INIT(MAX_WRITTEN), name = BUF_INIT(MAX_WRITTEN);
    struct sio_packet back;
    struct str args = sio_args_text(p), text = json_text(&p->name, &name);
    struct sio_event event = {p->nsp, STR("echo"), args, STR("1:2"), p->attachments, p->has_id, p->id};
    CHECK(sio_event_put(&out, &event) == 0);
    CHECK(sio_decode(buf_str(&out), SIO_ATTACHMENTS_MAX, &back, NULL) == 0);
    struct json_iter was = sio_args(p), is = sio_args(&back);
    struct json_value a, b;
    while (json_each(&was, NULL, &a))
        CHECK(json_each(&is, NULL, &b) && a.type == b.type && str_eq(a.raw, b.raw));
    CHECK(json_each(&is, NULL, &b) && str_eqc(b.raw, "1:2") && !json_each(&is, NULL, &b));
    buf_clear(&out);
    CHECK(sio_ack_put(&out, p->nsp, p->id, args, p->attachments) == 0);
    CHECK(sio_decode(buf_str(&out), SIO_ATTACHMENTS_MAX, &back, NULL) == 0);
    CHECK(is_ack(&back) && str_eq(sio_args_text(&back), args));
    /* A name that was taken can be sent: escaping does not change it. */
    if (p->name.type == JSON_STRING && text.p && utf8_valid(text)) {
        struct buf again = BUF_INIT(MAX_WRITTEN);
        buf_clear(&out);
        event.name = text;
        CHECK(sio_event_put(&out, &event) == 0);
        CHECK(sio_decode(buf_str(&out), SIO_ATTACHMENTS_MAX, &back, NULL) == 0);
        CHECK(str_eq(json_text(&back.name, &again), text));
        buf_free(&again);
    }
    buf_free(&out);
    buf_free(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > MAX_SIZE)
        return 0;
    struct str rest = str_n(data + 1, size - 1), text = fuzz_piece(&rest, rest.n), query;
    struct sio_packet packet;
    struct err e;
    if (sio_decode(text, data[0], &packet, &e) == 0) {
        check_rules(&packet, text, data[0]);
        CHECK(inside(sio_nsp_path(packet.nsp, &query), packet.nsp));
        check_places(&packet);
        check_written(&packet);
        if (is_event(&packet) || is_ack(&packet))
            check_args(&packet);
    }
    fuzz_piece_free(text);
    return 0;
}
