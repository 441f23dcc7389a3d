#include "chat/conversation.h"

#include "base/clock.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "chat/chat_impl.h"
#include "chat/turn_impl.h"

#define TITLE_UNITS 50

struct str conversation_title(struct arena *arena, struct str text)
{
    struct str head = utf8_utf16_prefix(text, TITLE_UNITS);
    return head.n == text.n ? arena_str(arena, text) : arena_printf(arena, "%.*s...", STR_ARG(head));
}

const char *message_status_name(enum message_status status)
{
    static const char *const names[] = {
        [MESSAGE_COMPLETE] = "complete",
        [MESSAGE_STREAMING] = "streaming",
        [MESSAGE_INTERRUPTED] = "interrupted",
        [MESSAGE_FAILED] = "failed",
    };
    return names[status];
}

static bool in_scope(const struct conversation *c, const struct chat_scope *scope)
{
    return (!scope->space || str_eqc(c->space, scope->space)) && str_eq(c->owner, scope->owner);
}

int conversation_create(struct chat *chat, const struct chat_scope *scope, const struct conversation *conversation,
                        struct arena *arena, struct conversation *out, struct err *e)
{
    struct store_append append = {.conversation = *conversation, .mode = APPEND_NEW};
    struct store_appended done;
    append.conversation.space = str_c(scope->space);
    append.conversation.owner = scope->owner;
    if (store_conversation_create(chat->config.store, arena, &append, &done, e) < 0)
        return -1;
    *out = done.conversation;
    out->messages = NULL;
    out->nmessages = 0;
    return 0;
}

/* The last `wanted` messages, asked for in pages from the newest backwards. */
static int load_messages(struct chat *chat, struct conversation *c, int64_t wanted, struct arena *arena, struct err *e)
{
    size_t cap = (size_t)MAX(MIN(wanted, c->message_count), 0), n = 0;
    struct message *messages = arena_alloc(arena, (cap ? cap : 1) * sizeof *messages);
    int64_t before = c->message_count + 1;
    bool more = cap > 0;
    while (more && n < cap) {
        struct message_query query = {.conversation_id = c->id,
                                      .before = before,
                                      .newest = true,
                                      .limit = (unsigned)MIN(cap - n, (size_t)STORE_PAGE)};
        struct message_page page;
        if (store_message_list(chat->config.store, arena, &query, &page, e) < 0)
            return -1;
        n += page.n;
        for (size_t i = 0; i < page.n; i++)
            messages[cap - n + i] = page.items[i];
        more = page.more && page.n > 0;
        if (page.n)
            before = page.items[0].seq;
    }
    c->messages = messages + (cap - n);
    c->nmessages = n;
    return 0;
}

int conversation_get(struct chat *chat, const struct chat_scope *scope, struct str id, int64_t messages,
                     struct arena *arena, struct conversation *out, struct err *e)
{
    struct conversation found;
    if (id.n == 0 || id.n > LIMIT_ID)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    if (store_conversation_get(chat->config.store, arena, id, &found, e) < 0)
        return -1;
    if (!in_scope(&found, scope))
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    found.messages = NULL;
    found.nmessages = 0;
    if (messages && load_messages(chat, &found, messages, arena, e) < 0)
        return -1;
    *out = found;
    return 0;
}

static int walk_page(struct chat *chat, const struct conversation_query *query, const struct conversation_walk *walk,
                     struct buf *cursor, struct err *e)
{
    struct arena *page_arena = arena_new("conversation_page");
    struct conversation_page page;
    int result = store_conversation_list(chat->config.store, page_arena, query, &page, e);
    for (size_t i = 0; result == 0 && i < page.n; i++)
        result = walk->each(walk->arg, &page.items[i], e);
    buf_clear(cursor);
    if (result == 0)
        buf_str_add(cursor, page.next);
    arena_free(page_arena);
    return result;
}

int conversation_walk(struct chat *chat, const struct chat_scope *scope, const struct conversation_walk *walk,
                      struct err *e)
{
    struct buf cursor = BUF_INIT(KIB(4));
    struct conversation_query query = {.space = str_c(scope->space),
                                       .owner = scope->owner,
                                       .order = walk->order,
                                       .messages = walk->messages,
                                       .limit = 200};
    int result;
    do {
        query.cursor = buf_str(&cursor);
        struct buf next = BUF_INIT(KIB(4));
        result = walk_page(chat, &query, walk, &next, e);
        buf_free(&cursor);
        cursor = next;
    } while (result == 0 && cursor.len);
    buf_free(&cursor);
    return result;
}

int conversation_retitle(struct chat *chat, const struct chat_scope *scope, struct str id, struct str title,
                         struct arena *arena, struct conversation *out, struct err *e)
{
    if (conversation_get(chat, scope, id, 0, arena, out, e) < 0)
        return -1;
    if (title.n > LIMIT_TITLE)
        return err_set(e, ERR_INVALID_REQUEST, "Title is too long");
    struct conversation_change change = {
        .to = {.id = id, .title = title, .updated_us = clock_wall_us()},
        .set = CONVERSATION_SET_TITLE | CONVERSATION_SET_UPDATED,
    };
    if (store_conversation_update(chat->config.store, arena, &change, out, e) < 0)
        return -1;
    return load_messages(chat, out, STORE_ALL, arena, e);
}

struct deletion {
    struct chat *chat;
    struct str id;
    struct err *e;
};

static int delete_at_home(void *arg)
{
    struct deletion *deletion = arg;
    struct chat *chat = deletion->chat;
    struct room_view *view = room_pin(chat, deletion->id);
    int result = room_lock(view, deletion->e);
    if (result == 0) {
        task_shield();
        turns_stop(view, "deleted");
        turns_wait(view);
        result = store_conversation_delete(chat->config.store, deletion->id, deletion->e);
        task_unshield();
        room_unlock(view);
    }
    if (result == 0)
        room_append(view, room_event_new(&(struct room_event){
                              .type = ROOM_DELETED, .conversation_id = deletion->id, .at_us = clock_wall_us()}));
    room_unpin(view);
    return result;
}

int conversation_delete(struct chat *chat, const struct chat_scope *scope, struct str id, struct err *e)
{
    struct arena *arena = arena_new("conversation_delete");
    struct conversation found;
    int result = conversation_get(chat, scope, id, 0, arena, &found, e);
    if (result == 0)
        result = loop_call(chat_home(chat, id), "conversation_delete", delete_at_home, &(struct deletion){chat, id, e});
    arena_free(arena);
    return result;
}
