#include "wire/socketio.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "wire/http.h"
#include "wire/json_impl.h"

static const struct str reserved[] = {
    {"connect", 7},        {"connect_error", 13}, {"disconnect", 10},
    {"disconnecting", 13}, {"newListener", 11},   {"removeListener", 14},
};

static int bad(struct err *e, const char *why)
{
    return err_set(e, ERR_INVALID_REQUEST, "%s", why);
}

static bool is_event(enum sio_type type)
{
    return type == SIO_EVENT || type == SIO_BINARY_EVENT;
}

static bool is_ack(enum sio_type type)
{
    return type == SIO_ACK || type == SIO_BINARY_ACK;
}

static bool is_binary(enum sio_type type)
{
    return type == SIO_BINARY_EVENT || type == SIO_BINARY_ACK;
}

/* Whether the inside of a checked string, escapes and all, reads as text. */
static bool string_is(struct str inside, struct str text)
{
    while (inside.n && text.n) {
        char utf8[4];
        size_t n = json_take_char(&inside, utf8);
        if (text.n < n || memcmp(text.p, utf8, n) != 0)
            return false;
        text = str_from(text, n);
    }
    return inside.n == 0 && text.n == 0;
}

bool sio_reserved(const struct json_value *name)
{
    if (name->type != JSON_STRING)
        return false;
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (string_is(name->raw, reserved[i]))
            return true;
    return false;
}

/* An object or array that the search for placeholders is in. */
struct level {
    const char *start;
    uint64_t num;
    unsigned members;
    bool object, key_next;
    bool marked, numbered;      /* "_placeholder":true and a "num" of digits were among the members */
    bool mark_value, num_value; /* the key at hand is one of these */
};

struct search {
    const char *p, *end;
    unsigned attachments;
    unsigned found;
    uint64_t seen; /* one bit per attachment */
    struct sio_place *places;
    size_t depth;
    struct level levels[LIMIT_JSON_DEPTH];
};

static void search_string(struct search *s, struct level *top)
{
    const char *start = ++s->p;
    while ((s->p = json_plain_end(s->p, s->end)) < s->end && *s->p != '"')
        s->p += *s->p == '\\' && s->end - s->p > 1 ? 2 : 1;
    struct str inside = str_n(start, (size_t)(s->p - start));
    s->p += s->p < s->end;
    if (!top->key_next)
        return;
    top->key_next = false;
    top->members++;
    top->mark_value = string_is(inside, STR("_placeholder"));
    top->num_value = string_is(inside, STR("num"));
}

/* A number, true, false or null. */
static void search_word(struct search *s, struct level *top)
{
    const char *start = s->p;
    while (s->p < s->end && *s->p != ',' && *s->p != '}' && *s->p != ']' && !json_is_space(*s->p))
        s->p++;
    struct str word = str_n(start, (size_t)(s->p - start));
    if (top->mark_value)
        top->marked |= str_eq(word, STR("true"));
    if (top->num_value)
        top->numbered = str_u64(word, &top->num) == 0;
}

/* At the closing bracket. */
static int leave_level(struct search *s, struct err *e)
{
    const struct level *top = &s->levels[--s->depth];
    s->p++;
    if (!top->marked)
        return 0;
    if (top->members != 2 || !top->numbered || top->num >= s->attachments)
        return bad(e, "Placeholder of no attachment");
    uint64_t bit = UINT64_C(1) << top->num;
    if (s->seen & bit)
        return bad(e, "Attachment with two placeholders");
    s->seen |= bit;
    if (s->places)
        s->places[s->found] = (struct sio_place){str_n(top->start, (size_t)(s->p - top->start)), (unsigned)top->num};
    s->found++;
    return 0;
}

static int search_step(struct search *s, struct err *e)
{
    struct level *top = &s->levels[s->depth - 1];
    switch (*s->p) {
    case '{':
    case '[':
        if (s->depth == LIMIT_JSON_DEPTH)
            return bad(e, "JSON is nested too deep");
        s->levels[s->depth++] = (struct level){.start = s->p, .object = *s->p == '{', .key_next = *s->p == '{'};
        s->p++;
        return 0;
    case '}':
    case ']':
        return leave_level(s, e);
    case ',':
        top->key_next = top->object;
        top->mark_value = top->num_value = false;
        s->p++;
        return 0;
    case '"':
        search_string(s, top);
        return 0;
    case ':':
    case ' ':
    case '\n':
    case '\r':
    case '\t':
        s->p++;
        return 0;
    default:
        search_word(s, top);
        return 0;
    }
}

/* Looks through the data of a binary packet, a checked array. A key that comes twice counts as two members, so no
 * object that another parser could read differently passes for a placeholder. */
static int find_places(const struct sio_packet *packet, struct sio_place *places, struct err *e)
{
    struct search s;
    s.p = packet->data.raw.p + 1;
    s.end = packet->data.raw.p + packet->data.raw.n;
    s.attachments = packet->attachments;
    s.found = 0;
    s.seen = 0;
    s.places = places;
    s.depth = 1;
    s.levels[0] = (struct level){.start = packet->data.raw.p};
    while (s.depth && s.p < s.end)
        if (search_step(&s, e) < 0)
            return -1;
    return s.found == s.attachments ? 0 : bad(e, "Attachment without a placeholder");
}

size_t sio_places(const struct sio_packet *packet, struct sio_place places[SIO_ATTACHMENTS_MAX])
{
    return is_binary(packet->type) && find_places(packet, places, NULL) == 0 ? packet->attachments : 0;
}

/* Takes the decimal digits in front off *rest. */
static struct str take_digits(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9')
        n++;
    struct str digits = {rest->p, n};
    *rest = str_from(*rest, n);
    return digits;
}

static int take_attachments(struct str *rest, unsigned max, struct sio_packet *packet, struct err *e)
{
    uint64_t count;
    struct str digits = take_digits(rest);
    if (rest->n == 0 || rest->p[0] != '-' || str_u64(digits, &count) < 0 || count == 0)
        return bad(e, "Binary packet without a number of attachments");
    if (count > MIN(max, SIO_ATTACHMENTS_MAX))
        return bad(e, "Too many attachments");
    packet->attachments = (unsigned)count;
    *rest = str_from(*rest, 1);
    return 0;
}

static int take_nsp(struct str *rest, struct sio_packet *packet, struct err *e)
{
    if (rest->n == 0 || rest->p[0] != '/')
        return 0;
    ptrdiff_t comma = str_find_char(*rest, ',');
    packet->nsp = str_n(rest->p, comma < 0 ? rest->n : (size_t)comma);
    *rest = str_from(*rest, packet->nsp.n + (comma >= 0));
    if (packet->nsp.n > SIO_NAMESPACE_MAX)
        return bad(e, "Namespace is too long");
    for (size_t i = 0; i < packet->nsp.n; i++)
        if ((unsigned char)packet->nsp.p[i] < 0x20 || packet->nsp.p[i] == 0x7F)
            return bad(e, "Namespace has control characters");
    return utf8_valid(packet->nsp) ? 0 : bad(e, "Namespace is no UTF-8");
}

static int take_id(struct str *rest, struct sio_packet *packet, struct err *e)
{
    struct str digits = take_digits(rest);
    if (digits.n == 0)
        return is_ack(packet->type) ? bad(e, "Acknowledgement without an id") : 0;
    if (!is_event(packet->type) && !is_ack(packet->type))
        return bad(e, "Packet of this type has no id");
    if (str_u64(digits, &packet->id) < 0)
        return bad(e, "Id is out of range");
    packet->has_id = true;
    return 0;
}

static int check_event(const struct sio_packet *packet, struct err *e)
{
    if (packet->data.type != JSON_ARRAY)
        return bad(e, "Data of an event is an array");
    if (packet->name.type != JSON_STRING && packet->name.type != JSON_NUMBER)
        return bad(e, "Event without a name");
    return sio_reserved(&packet->name) ? bad(e, "Name of the event is reserved") : 0;
}

static int check_data(const struct sio_packet *packet, struct err *e)
{
    enum json_type type = packet->data.type;
    switch (packet->type) {
    case SIO_CONNECT:
        return type == JSON_NONE || type == JSON_OBJECT ? 0 : bad(e, "Data of a connect packet is an object");
    case SIO_DISCONNECT:
        return type == JSON_NONE ? 0 : bad(e, "Disconnect packet has no data");
    case SIO_CONNECT_ERROR:
        return type == JSON_STRING || type == JSON_OBJECT ? 0 : bad(e, "Data of an error is a string or an object");
    case SIO_EVENT:
    case SIO_BINARY_EVENT:
        return check_event(packet, e);
    case SIO_ACK:
    case SIO_BINARY_ACK:
        return type == JSON_ARRAY ? 0 : bad(e, "Data of an acknowledgement is an array");
    }
    return bad(e, "Unknown packet type");
}

/* The JSON that is the rest of the text. */
static int take_data(struct str rest, struct sio_packet *packet, struct err *e)
{
    struct json_want wants[] = {{.path = ""}, {.path = "[0]"}};
    if (rest.n == 0)
        return 0;
    if (json_is_space(rest.p[0]))
        return bad(e, "Space before the data");
    if (json_scan(rest, wants, is_event(packet->type) ? 2 : 1, NULL, e) < 0)
        return -1;
    packet->data = wants[0].value;
    packet->name = wants[1].value;
    return 0;
}

int sio_decode(struct str text, unsigned max_attachments, struct sio_packet *out, struct err *e)
{
    if (text.n == 0 || text.p[0] < '0' || text.p[0] > '6')
        return bad(e, text.n ? "Unknown packet type" : "Empty packet");
    struct sio_packet packet = {.type = (enum sio_type)(text.p[0] - '0'), .nsp = STR("/")};
    struct str rest = str_from(text, 1);
    if (is_binary(packet.type) && take_attachments(&rest, max_attachments, &packet, e) < 0)
        return -1;
    if (take_nsp(&rest, &packet, e) < 0 || take_id(&rest, &packet, e) < 0 || take_data(rest, &packet, e) < 0 ||
        check_data(&packet, e) < 0)
        return -1;
    if (is_binary(packet.type) && find_places(&packet, NULL, e) < 0)
        return -1;
    *out = packet;
    return 0;
}

struct str sio_nsp_path(struct str nsp, struct str *query)
{
    ptrdiff_t mark = str_find_char(nsp, '?');
    *query = mark < 0 ? STR_NONE : str_from(nsp, (size_t)mark + 1);
    return mark < 0 ? nsp : str_n(nsp.p, (size_t)mark);
}

int sio_query_auth(struct buf *out, struct str query)
{
    struct buf name = BUF_INIT(query.n + 1), value = BUF_INIT(query.n + 1);
    int got, rc = buf_byte(out, '{');
    bool first = true;
    while (rc == 0 && (got = http_query_next(&query, &name, &value)) != 0) {
        if (got < 0)
            continue;
        if ((!first && buf_byte(out, ',') < 0) || json_put_str(out, buf_str(&name)) < 0 || buf_byte(out, ':') < 0 ||
            json_put_str(out, buf_str(&value)) < 0)
            rc = -1;
        first = false;
    }
    buf_free(&name);
    buf_free(&value);
    return rc < 0 ? rc : buf_byte(out, '}');
}

struct json_iter sio_args(const struct sio_packet *packet)
{
    bool array = is_event(packet->type) || is_ack(packet->type);
    struct json_iter it = json_iter(array ? &packet->data : &(struct json_value){0});
    if (is_event(packet->type)) {
        const char *behind = packet->name.raw.p + packet->name.raw.n + (packet->name.type == JSON_STRING);
        it.rest = str_from(it.rest, (size_t)(behind - it.rest.p));
    }
    return it;
}

struct str sio_args_text(const struct sio_packet *packet)
{
    struct str args = str_trim(sio_args(packet).rest);
    return is_event(packet->type) ? str_trim(str_from(args, 1)) : args;
}

/* Keeps the promise that a writer adds all or nothing. */
static int all_or_nothing(struct buf *out, size_t before, bool fits)
{
    if (fits)
        return 0;
    out->len = before;
    return -1;
}

static bool put_head(struct buf *out, enum sio_type type, unsigned attachments, struct str nsp)
{
    if (buf_byte(out, (char)('0' + (int)type)) < 0)
        return false;
    if (attachments && (buf_add_u64(out, attachments) < 0 || buf_byte(out, '-') < 0))
        return false;
    return nsp.n == 0 || str_eq(nsp, STR("/")) || (buf_str_add(out, nsp) == 0 && buf_byte(out, ',') == 0);
}

/* `separator` in front of a text that may be missing, with both or neither. */
static bool put_part(struct buf *out, struct str separator, struct str text)
{
    return text.n == 0 || (buf_str_add(out, separator) == 0 && buf_str_add(out, text) == 0);
}

static bool put_string_part(struct buf *out, struct str separator, struct str text)
{
    return text.n == 0 || (buf_str_add(out, separator) == 0 && json_put_str(out, text) == 0);
}

int sio_placeholder_put(struct buf *out, unsigned num)
{
    size_t before = out->len;
    return all_or_nothing(out, before,
                          buf_lit(out, "{\"_placeholder\":true,\"num\":") == 0 && buf_add_u64(out, num) == 0 &&
                              buf_byte(out, '}') == 0);
}

int sio_put(struct buf *out, const struct sio_packet *packet)
{
    size_t before = out->len;
    struct str quote = packet->data.type == JSON_STRING ? STR("\"") : STR("");
    bool fits = put_head(out, packet->type, packet->attachments, packet->nsp) &&
                (!packet->has_id || buf_add_u64(out, packet->id) == 0) && buf_str_add(out, quote) == 0 &&
                buf_str_add(out, packet->data.raw) == 0 && buf_str_add(out, quote) == 0;
    return all_or_nothing(out, before, fits);
}

int sio_connect_put(struct buf *out, struct str nsp, struct str sid, struct str pid)
{
    size_t before = out->len;
    bool fits = put_head(out, SIO_CONNECT, 0, nsp) && put_string_part(out, STR("{\"sid\":"), sid) &&
                (!sid.n || (put_string_part(out, STR(",\"pid\":"), pid) && buf_byte(out, '}') == 0));
    return all_or_nothing(out, before, fits);
}

int sio_disconnect_put(struct buf *out, struct str nsp)
{
    size_t before = out->len;
    return all_or_nothing(out, before, put_head(out, SIO_DISCONNECT, 0, nsp));
}

int sio_connect_error_put(struct buf *out, struct str nsp, struct str message, struct str data)
{
    size_t before = out->len;
    bool fits = put_head(out, SIO_CONNECT_ERROR, 0, nsp) && buf_lit(out, "{\"message\":") == 0 &&
                json_put_str(out, message) == 0 && put_part(out, STR(",\"data\":"), data) && buf_byte(out, '}') == 0;
    return all_or_nothing(out, before, fits);
}

int sio_error_put(struct buf *out, struct str nsp, struct str message, struct str data)
{
    size_t before = out->len;
    bool fits =
        put_head(out, SIO_CONNECT_ERROR, 0, nsp) && (data.n ? buf_str_add(out, data) : json_put_str(out, message)) == 0;
    return all_or_nothing(out, before, fits);
}

int sio_event_put(struct buf *out, const struct sio_event *event)
{
    size_t before = out->len;
    enum sio_type type = event->attachments ? SIO_BINARY_EVENT : SIO_EVENT;
    bool fits = put_head(out, type, event->attachments, event->nsp) &&
                (!event->has_id || buf_add_u64(out, event->id) == 0) && buf_byte(out, '[') == 0 &&
                json_put_str(out, event->name) == 0 && put_part(out, STR(","), event->args) &&
                put_string_part(out, STR(","), event->offset) && buf_byte(out, ']') == 0;
    return all_or_nothing(out, before, fits);
}

int sio_ack_put(struct buf *out, struct str nsp, uint64_t id, struct str args, unsigned attachments)
{
    size_t before = out->len;
    bool fits = put_head(out, attachments ? SIO_BINARY_ACK : SIO_ACK, attachments, nsp) && buf_add_u64(out, id) == 0 &&
                buf_byte(out, '[') == 0 && buf_str_add(out, args) == 0 && buf_byte(out, ']') == 0;
    return all_or_nothing(out, before, fits);
}
