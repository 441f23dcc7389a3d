/* The one thread that adds messages: whatever waits, together. A round is three commands, however many appends it is
 * for: read their conversations, insert the messages, move the conversations' counts up (or insert the conversations).
 * No transaction is needed:
 *  - A message counts once its conversation's count reaches it; until then nobody sees it, and nobody was told of it.
 *  - Whoever inserts the message behind the last one has the right to the next numbers: its key is unique.
 *  - What an append that was cut off has left behind is removed by the next, which first changes the conversation's
 *    `fence`: should the other one still live, its count does not go up any more.
 * Every message carries the mark of its append (`group`), so that each removes its own only. */
#include "store/mongo/mongo_impl.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

#define ROUND       256 /* appends in one round */
#define ROUND_BYTES MIB(16)
#define ROUNDS      64 /* how often an append is tried before the database is taken to be in trouble */

/* One append on its way. */
struct add {
    struct job *job;
    const struct store_append *in;
    struct arena *a;
    struct store_appended done;
    struct head head; /* the conversation as it was, or as it is to be */
    bson_oid_t group;
    unsigned rounds;
    bool found, troubled, over;
    int result;
    struct err err;
};

struct round {
    struct mongo_conn *conn;
    struct add *adds[ROUND]; /* no two of one conversation */
    size_t n;
    struct err err;
};

static void end_add(struct add *add, int result)
{
    add->over = true;
    add->result = result;
}

static void end_with(struct add *add, enum err_code code, const char *text)
{
    end_add(add, err_set(&add->err, code, text ? "%s" : NULL, text));
}

/* ---- read the conversations ---- */

static int take_head(void *arg, const bson_t *doc, struct err *e)
{
    struct round *r = arg;
    bson_iter_t it;
    uint32_t length = 0;
    (void)e;
    if (!doc || !bson_iter_init_find(&it, doc, "_id") || bson_iter_type(&it) != BSON_TYPE_UTF8)
        return 0;
    const char *text = bson_iter_utf8(&it, &length);
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(r->adds[i]->in->conversation.id, str_n(text, length))) {
            head_read(doc, r->adds[i]->a, &r->adds[i]->head);
            r->adds[i]->found = true;
        }
    return 0;
}

static int read_heads(struct round *r)
{
    struct doc filter, options;
    doc_begin(&filter);
    doc_open(&filter, "_id");
    doc_list(&filter, "$in");
    for (size_t i = 0; i < r->n; i++) {
        r->adds[i]->found = false;
        doc_str(&filter, NULL, r->adds[i]->in->conversation.id);
    }
    doc_close(&filter);
    doc_close(&filter);
    doc_begin(&options);
    int result = mongo_find(r->conn, CONVERSATIONS, &filter, &options, take_head, r, &r->err);
    doc_end(&filter);
    doc_end(&options);
    return result;
}

/* ---- plan ---- */

/* Whether the append may touch the conversation that was found. */
static bool allowed(struct add *add)
{
    const struct conversation *asked = &add->in->conversation, *found = &add->head.c;
    if (add->in->mode == APPEND_NEW) {
        end_with(add, ERR_CONFLICT, "Conversation exists");
        return false;
    }
    if (asked->space.n && (!str_eq(asked->space, found->space) || !str_eq(asked->owner, found->owner))) {
        end_with(add, ERR_CONVERSATION_NOT_FOUND, NULL);
        return false;
    }
    return true;
}

static void plan(struct add *add)
{
    const struct store_append *in = add->in;
    if (!add->found && in->mode == APPEND_EXISTING) {
        end_with(add, ERR_CONVERSATION_NOT_FOUND, NULL);
        return;
    }
    if (add->found && !allowed(add))
        return;
    if (!add->found) {
        add->head = (struct head){.c = in->conversation};
        add->head.c.message_count = 0;
        bson_oid_init(&add->head.key, NULL);
    }
    bson_oid_init(&add->group, NULL);
    add->troubled = false;
    add->done = (struct store_appended){.conversation = add->head.c, .created = !add->found, .n = in->n};
    struct conversation *c = &add->done.conversation;
    c->messages = NULL;
    c->nmessages = 0;
    add->done.messages = arena_alloc(add->a, in->n * sizeof *add->done.messages);
    for (size_t i = 0; i < in->n; i++) {
        add->done.messages[i] = in->messages[i];
        add->done.messages[i].seq = ++c->message_count;
        c->updated_us = MAX(c->updated_us, in->messages[i].created_us);
    }
}

/* Takes those that are over out of the round. */
static void tidy(struct round *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (!r->adds[i]->over)
            r->adds[n++] = r->adds[i];
    r->n = n;
}

/* ---- insert the messages ---- */

struct piece {
    struct add *add;
    size_t i;
};

static void build_message(void *arg, size_t i, struct doc *d)
{
    const struct piece *piece = (const struct piece *)arg + i;
    const struct message *m = &piece->add->done.messages[piece->i];
    uint8_t key[MESSAGE_KEY];
    message_key(key, &piece->add->head.key, m->seq);
    doc_bin(d, "_id", key, sizeof key);
    doc_oid(d, "conv", &piece->add->head.key);
    doc_oid(d, "group", &piece->add->group);
    doc_fields(d, message_fields, message_nfields, m);
}

static int insert_messages(struct round *r)
{
    size_t n = 0, total = 0;
    for (size_t i = 0; i < r->n; i++)
        total += r->adds[i]->done.n;
    if (total == 0)
        return 0;
    struct piece *pieces = mem_array(total, sizeof *pieces);
    int32_t *codes = mem_array(total, sizeof *codes);
    for (size_t i = 0; i < r->n; i++)
        for (size_t m = 0; m < r->adds[i]->done.n; m++)
            pieces[n++] = (struct piece){r->adds[i], m};
    int result = mongo_insert(r->conn, MESSAGES, n, build_message, pieces, codes, &r->err);
    for (size_t i = 0; i < n; i++)
        if (result < 0 || codes[i] != 0)
            pieces[i].add->troubled = true;
    free(pieces);
    free(codes);
    return result;
}

/* ---- one whose messages did not all come in ---- */

/* Removes messages of the conversation behind its count: with `own`, this append's only. */
static int remove_messages(struct mongo_conn *conn, const struct add *add, bool own, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "delete", STR(MESSAGES));
    doc_list(&d, "deletes");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    doc_key_range(&d, &add->head.key, add->head.c.message_count + 1, UINT32_MAX);
    if (own)
        doc_oid(&d, "group", &add->group);
    doc_close(&d);
    doc_int32(&d, "limit", 0);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, NULL, e);
    doc_end(&d);
    return result;
}

/* The conversation, as long as it is as we read it. */
static void put_unchanged(struct doc *d, const struct add *add)
{
    doc_open(d, "q");
    doc_str(d, "_id", add->head.c.id);
    doc_oid(d, "key", &add->head.key);
    doc_int(d, "message_count", add->head.c.message_count);
    doc_int(d, "fence", add->head.fence);
    doc_close(d);
}

/* Puts aside what another append left behind the count; should the conversation have moved on, that is as well. */
static int put_aside(struct mongo_conn *conn, const struct add *add, struct err *e)
{
    int64_t n = 0;
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "update", STR(CONVERSATIONS));
    doc_list(&d, "updates");
    doc_open(&d, NULL);
    put_unchanged(&d, add);
    doc_open(&d, "u");
    doc_open(&d, "$inc");
    doc_int(&d, "fence", 1);
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, 0, &n, e);
    doc_end(&d);
    return result < 0 || n == 0 ? result : remove_messages(conn, add, false, e);
}

/* What stands where the messages were to go, and who has their ids. */
struct clash {
    const struct add *add;
    size_t own;
    bool leftover;      /* behind the count, of another append */
    int64_t client_seq; /* the stored message with the first one's client id; 0: none */
};

static int take_clash(void *arg, const bson_t *doc, struct err *e)
{
    struct clash *c = arg;
    bson_oid_t group;
    bson_iter_t it;
    const struct message *first = &c->add->in->messages[0];
    (void)e;
    if (!doc) {
        *c = (struct clash){.add = c->add};
        return 0;
    }
    int64_t seq = message_seq(doc);
    bool own = doc_get_oid(doc, "group", &group) && memcmp(&group, &c->add->group, sizeof group) == 0;
    c->own += own;
    c->leftover |= !own && seq > c->add->head.c.message_count;
    uint32_t length = 0;
    if (!own && first->client_id.n && bson_iter_init_find(&it, doc, "client_id") &&
        bson_iter_type(&it) == BSON_TYPE_UTF8) {
        const char *text = bson_iter_utf8(&it, &length);
        if (str_eq(str_n(text, length), first->client_id) && seq <= c->add->head.c.message_count)
            c->client_seq = seq;
    }
    return 0;
}

static void put_ids(struct doc *d, const struct add *add, const char *name, bool client)
{
    doc_open(d, NULL);
    doc_oid(d, "conv", &add->head.key);
    doc_open(d, name);
    doc_list(d, "$in");
    for (size_t i = 0; i < add->in->n; i++) {
        struct str id = client ? add->in->messages[i].client_id : add->in->messages[i].id;
        if (id.n)
            doc_str(d, NULL, id);
    }
    doc_close(d);
    if (client)
        doc_bool(d, "$exists", true); /* so that the partial index will do */
    doc_close(d);
    doc_close(d);
}

static int find_clash(struct mongo_conn *conn, struct clash *c, struct err *e)
{
    struct doc filter, options;
    doc_begin(&filter);
    doc_list(&filter, "$or");
    doc_open(&filter, NULL);
    doc_key_range(&filter, &c->add->head.key, c->add->head.c.message_count + 1, UINT32_MAX);
    doc_close(&filter);
    put_ids(&filter, c->add, "id", false);
    put_ids(&filter, c->add, "client_id", true);
    doc_close(&filter);
    doc_begin(&options);
    doc_open(&options, "projection");
    doc_int32(&options, "content", 0);
    doc_close(&options);
    int result = mongo_find(conn, MESSAGES, &filter, &options, take_clash, c, e);
    doc_end(&filter);
    doc_end(&options);
    return result;
}

/* Answers with the stored messages from the one with that client id on. */
static int answer_duplicate(struct mongo_conn *conn, struct add *add, int64_t seq, struct err *e)
{
    struct message_range range = {.conversation_id = add->head.c.id,
                                  .key = &add->head.key,
                                  .first = seq,
                                  .last = add->head.c.message_count,
                                  .limit = (unsigned)add->in->n,
                                  .budget = INT64_MAX};
    add->done = (struct store_appended){.conversation = add->head.c, .duplicate = true};
    if (messages_read(conn, add->a, &range, &add->done.messages, &add->done.n, e) < 0)
        return -1;
    end_add(add, 0);
    return 0;
}

static void settle(struct mongo_conn *conn, struct add *add)
{
    struct clash c = {.add = add};
    struct err *e = &add->err;
    int result = find_clash(conn, &c, e);
    if (result == 0 && c.own == add->in->n) {
        add->troubled = false; /* all in: it was our own first try that stood in the way */
        return;
    }
    if (result == 0)
        result = remove_messages(conn, add, true, e);
    if (result < 0) {
        end_add(add, -1);
    } else if (c.client_seq) {
        if (answer_duplicate(conn, add, c.client_seq, e) < 0)
            end_add(add, -1);
    } else if (c.leftover) {
        if (put_aside(conn, add, e) < 0)
            end_add(add, -1);
        /* Otherwise it stays troubled, and the next round tries again. */
    } else {
        end_with(add, ERR_CONFLICT, NULL);
    }
}

/* ---- make them count ---- */

static void put_advance(struct doc *d, const struct add *add)
{
    doc_open(d, NULL);
    put_unchanged(d, add);
    doc_open(d, "u");
    doc_open(d, "$set");
    doc_int(d, "message_count", add->done.conversation.message_count);
    doc_close(d);
    doc_open(d, "$max");
    doc_int(d, "updated_us", add->done.conversation.updated_us);
    doc_close(d);
    doc_close(d);
    doc_close(d);
}

/* Whether the conversation counts this append: 1, 0, -1; *there says whether it exists at all. */
static int counts(struct mongo_conn *conn, struct add *add, bool *there, struct err *e)
{
    struct head now;
    struct clash c = {.add = add};
    int found = head_find(conn, add->a, add->head.c.id, &now, e);
    *there = found > 0 && memcmp(&now.key, &add->head.key, sizeof now.key) == 0;
    if (found < 0)
        return -1;
    if (!*there || now.c.message_count < add->done.conversation.message_count)
        return 0;
    return find_clash(conn, &c, e) < 0 ? -1 : c.own == add->in->n;
}

/* It was told to have failed, and may not have. */
static void end_in_doubt(struct mongo_conn *conn, struct add *add)
{
    doubt_note(conn->store, &(struct doubtful){.head = &add->head,
                                               .group = &add->group,
                                               .after = add->done.conversation.message_count,
                                               .created = !add->found});
    end_add(add, -1);
}

/* Each by itself: not all conversations were as they had been, or it is not known. */
static void verify(struct mongo_conn *conn, struct add *add)
{
    bool there;
    int counted = counts(conn, add, &there, &add->err);
    if (counted > 0) {
        end_add(add, 0);
    } else if (counted < 0 || remove_messages(conn, add, true, &add->err) < 0) {
        end_in_doubt(conn, add);
    } else if (!there && add->in->mode == APPEND_EXISTING) {
        end_with(add, ERR_CONVERSATION_NOT_FOUND, NULL);
    }
}

static int advance(struct round *r)
{
    struct mongo_reply reply;
    struct doc d;
    int64_t n = 0;
    doc_begin(&d);
    doc_str(&d, "update", STR(CONVERSATIONS));
    doc_bool(&d, "ordered", false);
    doc_list(&d, "updates");
    for (size_t i = 0; i < r->n; i++)
        if (r->adds[i]->found && !r->adds[i]->troubled && r->adds[i]->in->n > 0) {
            put_advance(&d, r->adds[i]);
            n++;
        }
    doc_close(&d);
    int result = n ? mongo_run(r->conn, &d, 0, &reply, &r->err) : 0;
    bool all = n == 0 || (result == 0 && reply.n == n);
    if (n && result == 0)
        mongo_done(&reply);
    doc_end(&d);
    for (size_t i = 0; i < r->n; i++) {
        struct add *add = r->adds[i];
        if (!add->found || add->troubled)
            continue;
        if (all || add->in->n == 0)
            end_add(add, 0);
        else
            verify(r->conn, add);
    }
    return 0;
}

static void build_conversation(void *arg, size_t i, struct doc *d)
{
    const struct add *add = ((struct add **)arg)[i];
    doc_fields(d, conversation_fields, conversation_nfields, &add->done.conversation);
    doc_oid(d, "key", &add->head.key);
    doc_int(d, "fence", 0);
}

static void create(struct round *r)
{
    struct add *adds[ROUND];
    int32_t codes[ROUND];
    bool there;
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (!r->adds[i]->found && !r->adds[i]->troubled)
            adds[n++] = r->adds[i];
    if (n == 0)
        return;
    bool known = mongo_insert(r->conn, CONVERSATIONS, n, build_conversation, adds, codes, &r->err) == 0;
    for (size_t i = 0; i < n; i++) {
        struct add *add = adds[i];
        int made = known && codes[i] == 0 ? 1 : counts(r->conn, add, &there, &add->err);
        if (made > 0)
            end_add(add, 0);
        else if (made < 0 || remove_messages(r->conn, add, true, &add->err) < 0)
            end_in_doubt(r->conn, add);
        else if (known && add->in->mode == APPEND_NEW)
            end_with(add, ERR_CONFLICT, "Conversation exists");
        else if (!known)
            end_with(add, r->err.code, NULL);
    }
}

/* ---- rounds ---- */

static void fail_all(struct round *r)
{
    for (size_t i = 0; i < r->n; i++) {
        r->adds[i]->err = r->err;
        end_add(r->adds[i], -1);
    }
}

/* Afterwards each is over, or wants another round. */
static void run_round(struct round *r)
{
    if (read_heads(r) < 0) {
        fail_all(r);
        return;
    }
    for (size_t i = 0; i < r->n; i++)
        plan(r->adds[i]);
    tidy(r);
    bool inserted = insert_messages(r) == 0;
    for (size_t i = 0; i < r->n; i++) {
        struct add *add = r->adds[i];
        if (!inserted && remove_messages(r->conn, add, true, NULL) < 0)
            log_warn("store", "leftovers", F_STR("conversation", add->head.c.id));
        if (inserted && add->troubled)
            settle(r->conn, add);
    }
    if (!inserted) {
        fail_all(r);
        return;
    }
    tidy(r);
    advance(r);
    tidy(r);
    create(r);
}

static uint64_t weight(const struct store_append *in)
{
    uint64_t n = 0;
    for (size_t i = 0; i < in->n; i++)
        n += in->messages[i].content.n + in->messages[i].meta.n;
    return n;
}

static bool has_conversation(const struct round *r, struct str id)
{
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(r->adds[i]->in->conversation.id, id))
            return true;
    return false;
}

/* Fills the round with appends of different conversations, the first ones first. */
static void choose(struct round *r, struct add *adds, size_t n)
{
    uint64_t bytes = 0;
    r->n = 0;
    for (size_t i = 0; i < n && r->n < ROUND && bytes < ROUND_BYTES; i++) {
        struct add *add = &adds[i];
        if (add->over || has_conversation(r, add->in->conversation.id))
            continue;
        bytes += weight(add->in);
        r->adds[r->n++] = add;
        if (add->rounds++ >= ROUNDS)
            end_with(add, ERR_STORE_UNAVAILABLE, NULL);
    }
    tidy(r);
}

static void run_all(struct mongo_conn *conn, struct add *adds, size_t n)
{
    struct round *r = mem_zalloc(sizeof *r);
    r->conn = conn;
    for (size_t left = n; left > 0;) {
        choose(r, adds, n);
        if (r->n > 0)
            run_round(r);
        left = 0;
        for (size_t i = 0; i < n; i++)
            left += !adds[i].over;
    }
    free(r);
}

static void prepare(struct add *add, struct job *job, struct arena *a, const struct store_append *in)
{
    *add = (struct add){.job = job, .in = in, .a = a};
}

int mongo_append(void *conn, struct arena *a, const struct store_append *in, struct store_appended *out, struct err *e)
{
    struct add add;
    prepare(&add, NULL, a, in);
    run_all(conn, &add, 1);
    if (add.result == 0)
        *out = add.done;
    else if (e)
        *e = add.err;
    return add.result;
}

static size_t length(const struct list *jobs)
{
    size_t n = 0;
    list_each(it, jobs)
        n++;
    return n;
}

static void append_batch(struct mongo_store *s, struct list *batch)
{
    size_t n = length(batch), i = 0;
    struct add *adds = mem_array(n, sizeof *adds);
    list_each(it, batch) {
        struct job *job = container_of(it, struct job, link);
        prepare(&adds[i], job, job->call->arena, job->call->in);
        if (!atomic_load(&s->up))
            end_with(&adds[i], ERR_STORE_UNAVAILABLE, NULL);
        i++;
    }
    if (atomic_load(&s->up))
        run_all(&s->appender, adds, n);
    for (i = 0; i < n; i++) {
        adds[i].job->result = adds[i].result;
        adds[i].job->err = adds[i].err;
        if (adds[i].result == 0)
            *(struct store_appended *)adds[i].job->call->out = adds[i].done;
    }
    free(adds);
}

void *appender_main(void *arg)
{
    struct mongo_store *s = arg;
    struct list batch = LIST_INIT(batch);
    while (queue_take_batch(&s->queue, &batch, true) >= 0) {
        append_batch(s, &batch);
        queue_finish(&s->queue, &batch);
    }
    arena_thread_end();
    return NULL;
}
