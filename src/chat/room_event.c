#include "chat/chat_impl.h"

#include "base/mem.h"

#include <stdlib.h>

#define STRINGS 9

static void list_strings(struct room_event *event, struct str *out[STRINGS])
{
    struct str *all[STRINGS] = {
        &event->conversation_id, &event->message_id, &event->client_id, &event->text, &event->finish, &event->code,
        &event->user_id,         &event->user_name,  &event->whole};
    memcpy(out, all, sizeof all);
}

struct room_event *room_event_new(const struct room_event *fields)
{
    struct room_event head = *fields;
    struct str *strings[STRINGS];
    list_strings(&head, strings);
    size_t total = sizeof head;
    for (size_t i = 0; i < COUNT(strings); i++)
        total += strings[i]->n + 1;
    struct room_event *event = mem_alloc(total);
    *event = head;
    atomic_init(&event->refs, 1);
    for (size_t i = 0; i < ROOM_ENCODINGS; i++)
        atomic_init(&event->encoded[i], NULL);
    char *at = (char *)(event + 1);
    list_strings(event, strings);
    for (size_t i = 0; i < COUNT(strings); i++) {
        struct str s = *strings[i];
        if (s.n)
            memcpy(at, s.p, s.n);
        at[s.n] = 0;
        *strings[i] = (struct str){at, s.n};
        at += s.n + 1;
    }
    return event;
}

size_t room_event_size(const struct room_event *event)
{
    return sizeof *event + event->conversation_id.n + event->message_id.n + event->client_id.n + event->text.n +
           event->user_id.n + event->user_name.n + event->whole.n;
}

struct room_event *room_event_ref(struct room_event *event)
{
    atomic_fetch_add_explicit(&event->refs, 1, memory_order_relaxed);
    return event;
}

void room_event_unref(struct room_event *event)
{
    if (!event || atomic_fetch_sub_explicit(&event->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < ROOM_ENCODINGS; i++)
        blob_unref(atomic_load_explicit(&event->encoded[i], memory_order_relaxed));
    free(event);
}

struct blob *room_event_encoded(struct room_event *event, enum room_encoding as,
                                struct blob *(*encode)(const struct room_event *event))
{
    struct blob *blob = atomic_load_explicit(&event->encoded[as], memory_order_acquire);
    if (blob)
        return blob;
    struct blob *made = encode(event);
    if (atomic_compare_exchange_strong_explicit(&event->encoded[as], &blob, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    blob_unref(made); /* another loop was quicker */
    return blob;
}

void room_cursor_print(char out[ROOM_CURSOR_MAX], struct room_cursor cursor)
{
    static const char digits[] = "0123456789abcdef";
    char text[ROOM_CURSOR_MAX];
    size_t at = sizeof text;
    text[--at] = 0;
    uint64_t offset = cursor.offset, epoch = cursor.epoch;
    do
        text[--at] = (char)('0' + offset % 10);
    while (offset /= 10);
    text[--at] = '-';
    do
        text[--at] = digits[epoch & 15];
    while (epoch >>= 4);
    memcpy(out, text + at, sizeof text - at);
}

static int parse_hex(struct str s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.n == 0 || s.n > 16)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return -1;
    }
    *out = value;
    return 0;
}

int room_cursor_parse(struct str text, struct room_cursor *cursor)
{
    struct room_cursor parsed;
    ptrdiff_t dash = str_find_char(text, '-');
    if (dash < 0 || parse_hex(str_n(text.p, (size_t)dash), &parsed.epoch) < 0 ||
        str_u64(str_from(text, (size_t)dash + 1), &parsed.offset) < 0)
        return -1;
    *cursor = parsed;
    return 0;
}
