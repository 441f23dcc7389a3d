#include "store/mongo/mongo_impl.h"

const struct field message_fields[] = {
    {"id", FIELD_STR, offsetof(struct message, id), 0},
    {"role", FIELD_STR, offsetof(struct message, role), 0},
    {"content", FIELD_STR, offsetof(struct message, content), MESSAGE_SET_CONTENT},
    {"client_id", FIELD_STR_IF, offsetof(struct message, client_id), 0},
    {"meta", FIELD_STR_IF, offsetof(struct message, meta), MESSAGE_SET_META},
    {"status", FIELD_ENUM, offsetof(struct message, status), MESSAGE_SET_STATUS},
    {"created_us", FIELD_INT, offsetof(struct message, created_us), 0},
};
const size_t message_nfields = COUNT(message_fields);
_Static_assert(sizeof(enum message_status) == sizeof(int), "FIELD_ENUM reads and writes an int");

void message_key(uint8_t out[MESSAGE_KEY], const bson_oid_t *conversation, int64_t seq)
{
    memcpy(out, conversation->bytes, 12);
    for (int i = 0; i < 4; i++)
        out[12 + i] = (uint8_t)((uint64_t)seq >> (24 - 8 * i));
}

int64_t message_seq(const bson_t *doc)
{
    bson_iter_t it;
    bson_subtype_t subtype;
    uint32_t n = 0;
    const uint8_t *bytes = NULL;
    if (bson_iter_init_find(&it, doc, "_id") && bson_iter_type(&it) == BSON_TYPE_BINARY)
        bson_iter_binary(&it, &subtype, &n, &bytes);
    if (n != MESSAGE_KEY)
        return 0;
    return (int64_t)bytes[12] << 24 | bytes[13] << 16 | bytes[14] << 8 | bytes[15];
}

void doc_key_range(struct doc *d, const bson_oid_t *conversation, int64_t first, int64_t last)
{
    uint8_t key[MESSAGE_KEY];
    doc_open(d, "_id");
    message_key(key, conversation, first);
    doc_bin(d, "$gte", key, sizeof key);
    message_key(key, conversation, last);
    doc_bin(d, "$lte", key, sizeof key);
    doc_close(d);
}

void message_read(const bson_t *doc, struct arena *a, struct str conversation_id, struct message *out)
{
    *out = (struct message){.conversation_id = conversation_id, .seq = message_seq(doc)};
    fields_read(doc, message_fields, message_nfields, a, out);
}

struct reading {
    struct arena *a;
    struct message_range *range;
    struct message *items;
    size_t n;
    int64_t budget;
};

static int take_message(void *arg, const bson_t *doc, struct err *e)
{
    struct reading *r = arg;
    (void)e;
    if (!doc) {
        r->n = 0;
        r->budget = r->range->budget;
        return 0;
    }
    struct message *m = &r->items[r->n++];
    message_read(doc, r->a, r->range->conversation_id, m);
    r->budget -= (int64_t)(m->content.n + m->meta.n);
    return r->budget <= 0;
}

static void reverse(struct message *items, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct message m = items[i];
        items[i] = items[n - 1 - i];
        items[n - 1 - i] = m;
    }
}

int messages_read(struct mongo_conn *conn, struct arena *a, struct message_range *range, struct message **items,
                  size_t *n, struct err *e)
{
    size_t room = range->last < range->first ? 0 : (size_t)(range->last - range->first + 1);
    room = MIN(room, (size_t)range->limit);
    struct reading r = {a, range, arena_alloc(a, room * sizeof *r.items), 0, range->budget};
    if (room > 0) {
        struct doc filter, options;
        doc_begin(&filter);
        doc_key_range(&filter, range->key, range->first, range->last);
        doc_begin(&options);
        doc_open(&options, "sort");
        doc_int32(&options, "_id", range->newest ? -1 : 1);
        doc_close(&options);
        doc_int(&options, "limit", (int64_t)room);
        int result = mongo_find(conn, MESSAGES, &filter, &options, take_message, &r, e);
        doc_end(&filter);
        doc_end(&options);
        if (result < 0)
            return -1;
    }
    if (range->newest)
        reverse(r.items, r.n);
    range->budget = r.budget;
    *items = r.items;
    *n = r.n;
    return 0;
}

struct taken {
    struct arena *a;
    struct str conversation_id;
    struct message *to;
    bool any;
};

static int take_one(void *arg, const bson_t *doc, struct err *e)
{
    struct taken *t = arg;
    (void)e;
    t->any = doc != NULL;
    if (doc)
        message_read(doc, t->a, t->conversation_id, t->to);
    return t->any;
}

int mongo_message_get(void *conn, struct arena *a, const struct message_ref *in, struct message *out, struct err *e)
{
    struct taken t = {a, arena_str(a, in->conversation_id), out, false};
    struct head head;
    struct doc filter, options;
    int found = head_find(conn, a, in->conversation_id, &head, e);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(e, ERR_MESSAGE_NOT_FOUND, NULL);
    doc_begin(&filter);
    doc_oid(&filter, "conv", &head.key);
    doc_str(&filter, "id", in->id);
    doc_begin(&options);
    doc_int(&options, "limit", 1);
    int result = mongo_find(conn, MESSAGES, &filter, &options, take_one, &t, e);
    doc_end(&filter);
    doc_end(&options);
    if (result == 0 && (!t.any || out->seq > head.c.message_count))
        return err_set(e, ERR_MESSAGE_NOT_FOUND, NULL);
    return result;
}

static int touch(struct mongo_conn *conn, const struct head *head, int64_t us, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "update", STR(CONVERSATIONS));
    doc_list(&d, "updates");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    doc_str(&d, "_id", head->c.id);
    doc_oid(&d, "key", &head->key);
    doc_close(&d);
    doc_open(&d, "u");
    doc_open(&d, "$max");
    doc_int(&d, "updated_us", us);
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, NULL, e);
    doc_end(&d);
    return result;
}

static int change_message(struct mongo_conn *conn, const struct head *head, const struct message_change *in,
                          struct err *e)
{
    int64_t n = 0;
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "update", STR(MESSAGES));
    doc_list(&d, "updates");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    doc_oid(&d, "conv", &head->key);
    doc_str(&d, "id", in->to.id);
    doc_close(&d);
    doc_open(&d, "u");
    doc_open(&d, "$set");
    doc_changes(&d, message_fields, message_nfields, &in->to, in->set);
    doc_str(&d, "id", in->to.id); /* never nothing at all */
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, &n, e);
    doc_end(&d);
    if (result == 0 && n == 0)
        return err_set(e, ERR_MESSAGE_NOT_FOUND, NULL);
    return result;
}

int mongo_message_update(void *conn, struct arena *a, const struct message_change *in, int64_t *out, struct err *e)
{
    struct arena *own = a ? NULL : arena_new("update");
    struct head head;
    int found = head_find(conn, a ? a : own, in->to.conversation_id, &head, e), result = -1;
    if (found == 0)
        err_set(e, ERR_MESSAGE_NOT_FOUND, NULL);
    if (found > 0)
        result = change_message(conn, &head, in, e);
    if (result == 0 && in->touch_us > head.c.updated_us)
        result = touch(conn, &head, in->touch_us, e);
    if (own)
        arena_free(own);
    *out = 1;
    return result;
}

int mongo_message_list(void *conn, struct arena *a, const struct message_query *in, struct message_page *out,
                       struct err *e)
{
    struct head head;
    int found = head_find(conn, a, in->conversation_id, &head, e);
    if (found <= 0) {
        if (found == 0)
            *out = (struct message_page){0};
        return found;
    }
    int64_t count = head.c.message_count;
    int64_t first = MIN(in->after, count) + 1, last = MIN(in->before - 1, count);
    struct message_range range = {head.c.id, &head.key, first, last, in->limit, in->newest, STORE_PAGE_BYTES};
    struct message_page page = {0};
    if (messages_read(conn, a, &range, &page.items, &page.n, e) < 0)
        return -1;
    page.more = (int64_t)page.n < last - first + 1;
    *out = page;
    return 0;
}

int mongo_interrupt_streaming(void *conn, struct arena *a, const int64_t *in, int64_t *out, struct err *e)
{
    struct doc d;
    (void)a;
    doc_begin(&d);
    doc_str(&d, "update", STR(MESSAGES));
    doc_list(&d, "updates");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    doc_int32(&d, "status", MESSAGE_STREAMING);
    doc_open(&d, "created_us");
    doc_int(&d, "$lte", *in);
    doc_close(&d);
    doc_close(&d);
    doc_open(&d, "u");
    doc_open(&d, "$set");
    doc_int32(&d, "status", MESSAGE_INTERRUPTED);
    doc_close(&d);
    doc_close(&d);
    doc_bool(&d, "multi", true);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, out, e);
    doc_end(&d);
    return result;
}
