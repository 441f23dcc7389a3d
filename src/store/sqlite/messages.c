#include "store/sqlite/sqlite_impl.h"

#define COLUMNS "key, status, created_us, id, role, client_id, meta, content"

static struct message take_message(struct query *q, struct arena *a, struct str conversation_id)
{
    struct message m = {.conversation_id = conversation_id};
    m.seq = take_int(q) & (((int64_t)1 << SEQ_BITS) - 1);
    m.status = (enum message_status)take_int(q);
    m.created_us = take_int(q);
    m.id = take_str(q, a);
    m.role = take_str(q, a);
    m.client_id = take_str(q, a);
    m.meta = take_str(q, a);
    m.content = take_str(q, a);
    return m;
}

static void reverse(struct message *items, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct message m = items[i];
        items[i] = items[n - 1 - i];
        items[n - 1 - i] = m;
    }
}

int sqlite_messages_read(struct db *db, struct arena *a, struct message_range *range, struct message **items, size_t *n,
                         struct err *e)
{
    size_t room = range->last < range->first ? 0 : (size_t)(range->last - range->first + 1);
    struct message *list = arena_alloc(a, MIN(room, (size_t)range->limit) * sizeof *list);
    size_t count = 0;
    int row = 0;
    struct query q =
        range->newest
            ? query_begin(db, "SELECT " COLUMNS " FROM messages WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT ?")
            : query_begin(db, "SELECT " COLUMNS " FROM messages WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?");
    put_int(&q, range->first);
    put_int(&q, range->last);
    put_int(&q, range->limit);
    while ((row = query_row(&q, e)) > 0) {
        list[count] = take_message(&q, a, range->conversation_id);
        range->budget -= (int64_t)(list[count].content.n + list[count].meta.n);
        count++;
        if (range->budget <= 0) {
            query_end(&q);
            break;
        }
    }
    if (row < 0)
        return -1;
    if (range->newest)
        reverse(list, count);
    *items = list;
    *n = count;
    return 0;
}

static int insert(struct db *db, const struct message *m, int64_t conversation, struct err *e)
{
    struct query q = query_begin(db, "INSERT INTO messages(" COLUMNS ", conversation)"
                                     " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
    put_int(&q, message_key(conversation, m->seq));
    put_int(&q, m->status);
    put_int(&q, m->created_us);
    put_str(&q, m->id);
    put_str(&q, m->role);
    put_str(&q, m->client_id);
    put_str(&q, m->meta);
    put_str(&q, m->content);
    put_int(&q, conversation);
    return query_run(&q, e);
}

/* The stored messages from the one with this client id on: 1 and out filled, 0 when there is none, -1. */
static int find_duplicate(struct db *db, struct arena *a, const struct store_append *in, int64_t conversation,
                          struct store_appended *out, struct err *e)
{
    if (in->n == 0 || in->messages[0].client_id.n == 0)
        return 0;
    struct query q = query_begin(db, "SELECT key FROM messages WHERE conversation = ? AND client_id = ?"
                                     " AND client_id <> ''");
    put_int(&q, conversation);
    put_str(&q, in->messages[0].client_id);
    int row = query_row(&q, e);
    if (row <= 0)
        return row;
    int64_t first = take_int(&q);
    query_end(&q);
    struct message_range range = {
        out->conversation.id, first, message_key(conversation, out->conversation.message_count),
        (unsigned)in->n,      false, INT64_MAX};
    if (sqlite_messages_read(db, a, &range, &out->messages, &out->n, e) < 0)
        return -1;
    out->duplicate = true;
    return 1;
}

/* Whether `rq` may touch the conversation that was found: 0, or -1 with the reason. */
static int check_found(const struct store_append *rq, const struct conversation *found, struct err *e)
{
    if (rq->mode == APPEND_NEW)
        return err_set(e, ERR_CONFLICT, "Conversation exists");
    if (rq->conversation.space.n &&
        (!str_eq(rq->conversation.space, found->space) || !str_eq(rq->conversation.owner, found->owner)))
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    return 0;
}

static int advance(struct db *db, int64_t conversation, const struct conversation *c, struct err *e)
{
    struct query q = query_begin(db, "UPDATE conversations SET message_count = ?, updated_us = ? WHERE key = ?");
    put_int(&q, c->message_count);
    put_int(&q, c->updated_us);
    put_int(&q, conversation);
    return query_run(&q, e);
}

int sqlite_append(void *conn, struct arena *a, const struct store_append *in, struct store_appended *out, struct err *e)
{
    struct db *db = conn;
    struct store_appended done = {.conversation = in->conversation};
    int64_t conversation = 0;
    int found = sqlite_conversation_find(db, a, in->conversation.id, &done.conversation, &conversation, e);
    if (found < 0 || (found && check_found(in, &done.conversation, e) < 0))
        return -1;
    if (!found && in->mode == APPEND_EXISTING)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    int duplicate = found ? find_duplicate(db, a, in, conversation, &done, e) : 0;
    if (duplicate != 0) {
        if (duplicate > 0)
            *out = done;
        return duplicate > 0 ? 0 : -1;
    }
    struct conversation *c = &done.conversation;
    if (!found)
        c->message_count = 0;
    int64_t seq = c->message_count;
    c->message_count += (int64_t)in->n;
    for (size_t i = 0; i < in->n; i++)
        c->updated_us = MAX(c->updated_us, in->messages[i].created_us);
    c->messages = NULL;
    c->nmessages = 0;
    done.created = !found;
    if (!found && sqlite_conversation_insert(db, c, &conversation, e) < 0)
        return -1;
    done.n = in->n;
    done.messages = arena_alloc(a, in->n * sizeof *done.messages);
    for (size_t i = 0; i < in->n; i++) {
        done.messages[i] = in->messages[i];
        done.messages[i].seq = ++seq;
        if (insert(db, &done.messages[i], conversation, e) < 0)
            return -1;
    }
    if (found && in->n > 0 && advance(db, conversation, c, e) < 0)
        return -1;
    *out = done;
    return 0;
}

/* Where the message is: 0, or MESSAGE_NOT_FOUND. */
static int find_message(struct db *db, struct str conversation_id, struct str id, int64_t *key, struct err *e)
{
    struct query q = query_begin(db, "SELECT key FROM messages WHERE id = ?2"
                                     " AND conversation = (SELECT key FROM conversations WHERE id = ?1)");
    put_str(&q, conversation_id);
    put_str(&q, id);
    int row = query_row(&q, e);
    if (row == 0)
        return err_set(e, ERR_MESSAGE_NOT_FOUND, NULL);
    if (row < 0)
        return -1;
    *key = take_int(&q);
    query_end(&q);
    return 0;
}

int sqlite_message_get(void *conn, struct arena *a, const struct message_ref *in, struct message *out, struct err *e)
{
    int64_t key = 0;
    if (find_message(conn, in->conversation_id, in->id, &key, e) < 0)
        return -1;
    struct message_range range = {arena_str(a, in->conversation_id), key, key, 1, false, INT64_MAX};
    struct message *found;
    size_t n;
    if (sqlite_messages_read(conn, a, &range, &found, &n, e) < 0)
        return -1;
    if (n == 0)
        return err_set(e, ERR_MESSAGE_NOT_FOUND, NULL);
    *out = found[0];
    return 0;
}

static int touch(struct db *db, struct str conversation_id, int64_t us, struct err *e)
{
    struct query q = query_begin(db, "UPDATE conversations SET updated_us = ?2 WHERE id = ?1 AND updated_us < ?2");
    put_str(&q, conversation_id);
    put_int(&q, us);
    return query_run(&q, e);
}

int sqlite_message_update(void *conn, struct arena *a, const struct message_change *in, int64_t *out, struct err *e)
{
    (void)a;
    int64_t key = 0;
    if (find_message(conn, in->to.conversation_id, in->to.id, &key, e) < 0)
        return -1;
    struct query q = query_begin(conn, "UPDATE messages SET content = iif(?1 & 1, ?2, content),"
                                       " status = iif(?1 & 2, ?3, status), meta = iif(?1 & 4, ?4, meta)"
                                       " WHERE key = ?5");
    put_int(&q, in->set);
    put_str(&q, in->to.content);
    put_int(&q, in->to.status);
    put_str(&q, in->to.meta);
    put_int(&q, key);
    if (query_run(&q, e) < 0 || (in->touch_us && touch(conn, in->to.conversation_id, in->touch_us, e) < 0))
        return -1;
    *out = 1;
    return 0;
}

int sqlite_message_list(void *conn, struct arena *a, const struct message_query *in, struct message_page *out,
                        struct err *e)
{
    struct conversation c;
    int64_t conversation = 0;
    int found = sqlite_conversation_find(conn, a, in->conversation_id, &c, &conversation, e);
    if (found <= 0) {
        if (found == 0)
            *out = (struct message_page){0};
        return found;
    }
    int64_t first = MIN(in->after, c.message_count) + 1, last = MIN(in->before - 1, c.message_count);
    struct message_range range = {c.id,
                                  message_key(conversation, first),
                                  message_key(conversation, last),
                                  in->limit,
                                  in->newest,
                                  STORE_PAGE_BYTES};
    struct message_page page = {0};
    if (sqlite_messages_read(conn, a, &range, &page.items, &page.n, e) < 0)
        return -1;
    page.more = (int64_t)page.n < last - first + 1;
    *out = page;
    return 0;
}

int sqlite_interrupt_streaming(void *conn, struct arena *a, const int64_t *in, int64_t *out, struct err *e)
{
    (void)a;
    (void)in;
    if (db_run(conn, "UPDATE messages SET status = 2 WHERE status = 1", e) < 0)
        return -1;
    *out = db_changed(conn);
    return 0;
}
