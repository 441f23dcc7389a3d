#include "base/clock.h"
#include "store/mongo/mongo_impl.h"

const struct field conversation_fields[] = {
    {"_id", FIELD_STR, offsetof(struct conversation, id), 0},
    {"space", FIELD_STR, offsetof(struct conversation, space), 0},
    {"owner", FIELD_STR, offsetof(struct conversation, owner), CONVERSATION_SET_OWNER},
    {"agent_id", FIELD_STR, offsetof(struct conversation, agent_id), CONVERSATION_SET_AGENT},
    {"device_id", FIELD_STR, offsetof(struct conversation, device_id), CONVERSATION_SET_DEVICE},
    {"title", FIELD_STR, offsetof(struct conversation, title), CONVERSATION_SET_TITLE},
    {"status", FIELD_STR, offsetof(struct conversation, status), CONVERSATION_SET_STATUS},
    {"active", FIELD_BOOL, offsetof(struct conversation, active), CONVERSATION_SET_ACTIVE},
    {"meta", FIELD_STR, offsetof(struct conversation, meta), CONVERSATION_SET_META},
    {"created_us", FIELD_INT, offsetof(struct conversation, created_us), 0},
    {"updated_us", FIELD_INT, offsetof(struct conversation, updated_us), 0},
    {"message_count", FIELD_INT, offsetof(struct conversation, message_count), 0},
};
const size_t conversation_nfields = COUNT(conversation_fields);

void head_read(const bson_t *doc, struct arena *a, struct head *out)
{
    *out = (struct head){0};
    fields_read(doc, conversation_fields, conversation_nfields, a, &out->c);
    doc_get_oid(doc, "key", &out->key);
    out->fence = doc_get_int(doc, "fence");
}

struct taken {
    struct arena *a;
    struct head *to;
    bool any;
};

static int take_head(void *arg, const bson_t *doc, struct err *e)
{
    struct taken *t = arg;
    (void)e;
    t->any = doc != NULL;
    if (doc)
        head_read(doc, t->a, t->to);
    return t->any;
}

int head_find(struct mongo_conn *conn, struct arena *a, struct str id, struct head *out, struct err *e)
{
    struct taken t = {a, out, false};
    struct doc filter, options;
    doc_begin(&filter);
    doc_str(&filter, "_id", id);
    doc_begin(&options);
    doc_int(&options, "limit", 1);
    int result = mongo_find(conn, CONVERSATIONS, &filter, &options, take_head, &t, e);
    doc_end(&filter);
    doc_end(&options);
    return result < 0 ? -1 : t.any;
}

static int find(struct mongo_conn *conn, struct arena *a, struct str id, struct head *out, struct err *e)
{
    int found = head_find(conn, a, id, out, e);
    if (found == 0)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    return found < 0 ? -1 : 0;
}

int mongo_conversation_get(void *conn, struct arena *a, const struct str *in, struct conversation *out, struct err *e)
{
    struct head head;
    if (find(conn, a, *in, &head, e) < 0)
        return -1;
    *out = head.c;
    return 0;
}

static void put_change(struct doc *d, const struct conversation_change *in)
{
    unsigned stored = in->set & ~(unsigned)CONVERSATION_SET_UPDATED;
    doc_open(d, "update");
    if (stored) {
        doc_open(d, "$set");
        doc_changes(d, conversation_fields, conversation_nfields, &in->to, stored);
        doc_close(d);
    }
    doc_open(d, "$max"); /* forward only */
    doc_int(d, "updated_us", in->set & CONVERSATION_SET_UPDATED ? in->to.updated_us : INT64_MIN);
    doc_close(d);
    doc_close(d);
}

int mongo_conversation_update(void *conn, struct arena *a, const struct conversation_change *in,
                              struct conversation *out, struct err *e)
{
    struct mongo_reply reply;
    struct head head;
    bson_t value;
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "findAndModify", STR(CONVERSATIONS));
    doc_open(&d, "query");
    doc_str(&d, "_id", in->to.id);
    doc_close(&d);
    put_change(&d, in);
    doc_bool(&d, "new", true);
    int result = mongo_run(conn, &d, RUN_TWICE, &reply, e);
    doc_end(&d);
    if (result < 0)
        return -1;
    bool any = doc_get_doc(&reply.doc, "value", &value);
    if (any)
        head_read(&value, a, &head);
    mongo_done(&reply);
    if (!any)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    *out = head.c;
    return 0;
}

/* ---- deleting: noted for the sweep first, so that no messages are ever left without anybody who knows of them ---- */

int note_sweep(struct mongo_conn *conn, const bson_oid_t *key, struct str conversation_id, struct err *e)
{
    struct mongo_reply reply;
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "insert", STR(SWEPT));
    doc_list(&d, "documents");
    doc_open(&d, NULL);
    doc_oid(&d, "_id", key);
    doc_str(&d, "conversation", conversation_id);
    doc_int(&d, "at_us", clock_wall_us());
    doc_close(&d);
    doc_close(&d);
    int result = mongo_run(conn, &d, RUN_TWICE, &reply, e);
    doc_end(&d);
    if (result == 0)
        mongo_done(&reply); /* a duplicate: noted already */
    return result;
}

int mongo_conversation_delete(void *conn, struct arena *a, const struct str *in, int64_t *out, struct err *e)
{
    struct arena *own = a ? NULL : arena_new("delete");
    struct head head;
    int result = find(conn, a ? a : own, *in, &head, e);
    if (result == 0)
        result = note_sweep(conn, &head.key, head.c.id, e);
    if (result == 0) {
        struct doc d;
        doc_begin(&d);
        doc_str(&d, "delete", STR(CONVERSATIONS));
        doc_list(&d, "deletes");
        doc_open(&d, NULL);
        doc_open(&d, "q");
        doc_str(&d, "_id", *in);
        doc_oid(&d, "key", &head.key);
        doc_close(&d);
        doc_int32(&d, "limit", 1);
        doc_close(&d);
        doc_close(&d);
        result = mongo_change(conn, &d, 0, out, e);
        doc_end(&d);
    }
    if (own)
        arena_free(own);
    if (result == 0 && *out == 0)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL); /* another one was first */
    if (result == 0)
        keeper_ask(((struct mongo_conn *)conn)->store);
    return result;
}

/* ---- lists ---- */

struct listing {
    struct arena *a;
    const struct conversation_query *in;
    struct head *heads;
    size_t n;
    bool more;
};

static int take_listed(void *arg, const bson_t *doc, struct err *e)
{
    struct listing *l = arg;
    (void)e;
    if (!doc) {
        l->n = 0;
        return 0;
    }
    if (l->n == l->in->limit) {
        l->more = true;
        return 1;
    }
    head_read(doc, l->a, &l->heads[l->n++]);
    return 0;
}

static const char *order_of(const struct conversation_query *in)
{
    return in->order == CONVERSATION_BY_CREATED ? "created_us" : "updated_us";
}

static int find_listed(struct mongo_conn *conn, struct listing *l, const struct place *behind, struct err *e)
{
    const struct conversation_query *in = l->in;
    struct doc filter, options;
    doc_begin(&filter);
    doc_str(&filter, "space", in->space);
    doc_str(&filter, "owner", in->owner);
    if (in->agent_id.n)
        doc_str(&filter, "agent_id", in->agent_id);
    if (in->device_id.n)
        doc_str(&filter, "device_id", in->device_id);
    if (in->only_active)
        doc_bool(&filter, "active", true);
    if (behind)
        doc_behind(&filter, order_of(in), behind, false);
    doc_begin(&options);
    doc_open(&options, "sort");
    doc_int32(&options, order_of(in), -1);
    doc_int32(&options, "key", -1);
    doc_close(&options);
    doc_int(&options, "limit", (int64_t)in->limit + 1);
    int result = mongo_find(conn, CONVERSATIONS, &filter, &options, take_listed, l, e);
    doc_end(&filter);
    doc_end(&options);
    return result;
}

/* The conversation's last messages; what they weigh is added to *spent. */
static int add_messages(struct mongo_conn *conn, struct arena *a, const struct head *head, int64_t last,
                        struct conversation *c, int64_t *spent, struct err *e)
{
    struct message_range range = {.conversation_id = c->id,
                                  .key = &head->key,
                                  .first = c->message_count - MIN(last, c->message_count) + 1,
                                  .last = c->message_count,
                                  .limit = UINT32_MAX,
                                  .budget = INT64_MAX};
    struct message *messages;
    if (messages_read(conn, a, &range, &messages, &c->nmessages, e) < 0)
        return -1;
    c->messages = messages;
    *spent += INT64_MAX - range.budget;
    return 0;
}

int mongo_conversation_list(void *conn, struct arena *a, const struct conversation_query *in,
                            struct conversation_page *out, struct err *e)
{
    struct listing l = {.a = a, .in = in};
    struct place place;
    bool any;
    int64_t spent = 0;
    if (place_read(in->cursor, &place, &any, e) < 0)
        return -1;
    l.heads = arena_alloc(a, in->limit * sizeof *l.heads);
    if (find_listed(conn, &l, any ? &place : NULL, e) < 0)
        return -1;
    struct conversation_page page = {.items = arena_alloc(a, in->limit * sizeof *page.items)};
    while (page.n < l.n && spent < (int64_t)STORE_PAGE_BYTES) {
        const struct head *head = &l.heads[page.n];
        struct conversation *c = &page.items[page.n++];
        *c = head->c;
        place = (struct place){in->order == CONVERSATION_BY_CREATED ? c->created_us : c->updated_us, head->key};
        /* A conversation is returned with all its messages or not at all, so the budget only ends the page. */
        if (in->messages && add_messages(conn, a, head, in->messages, c, &spent, e) < 0)
            return -1;
    }
    if (l.more || page.n < l.n)
        page.next = place_cursor(a, &place);
    *out = page;
    return 0;
}
