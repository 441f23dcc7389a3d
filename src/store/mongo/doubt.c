/* Appends of which nobody could tell whether they count, because the server went away with the answer. Their callers
 * were told that they failed, so they are undone when it is back, before anybody else is let in. */
#include "store/mongo/mongo_impl.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

#define DOUBTS_MOST 4096

struct doubt {
    struct list link;
    bson_oid_t key, group;
    int64_t before, after; /* the conversation's count without and with it */
    bool created;
    char *id;
};

void doubt_note(struct mongo_store *s, const struct doubtful *what)
{
    struct doubt *d = mem_zalloc(sizeof *d);
    *d = (struct doubt){.key = what->head->key,
                        .group = *what->group,
                        .before = what->head->c.message_count,
                        .after = what->after,
                        .created = what->created,
                        .id = str_dup(what->head->c.id)};
    pthread_mutex_lock(&s->keeper_lock);
    bool room = s->ndoubts < DOUBTS_MOST;
    if (room) {
        list_push_back(&s->doubts, &d->link);
        s->ndoubts++;
    }
    pthread_mutex_unlock(&s->keeper_lock);
    if (!room) {
        free(d->id);
        free(d);
    }
}

/* The conversation as the append has left it, if it has. */
static void put_query(struct doc *d, const struct doubt *doubt)
{
    doc_open(d, "q");
    doc_str(d, "_id", str_c(doubt->id));
    doc_oid(d, "key", &doubt->key);
    doc_int(d, "message_count", doubt->after);
    doc_close(d);
}

/* Whether the stored messages behind the count of before are this append's. */
static int take_own(void *arg, const bson_t *doc, struct err *e)
{
    (void)e;
    *(bool *)arg = doc != NULL;
    return doc != NULL;
}

static int is_there(struct mongo_conn *conn, const struct doubt *doubt, bool *there, struct err *e)
{
    struct doc filter, options;
    *there = false;
    doc_begin(&filter);
    doc_key_range(&filter, &doubt->key, doubt->before + 1, doubt->after);
    doc_oid(&filter, "group", &doubt->group);
    doc_begin(&options);
    doc_int(&options, "limit", 1);
    int result = mongo_find(conn, MESSAGES, &filter, &options, take_own, there, e);
    doc_end(&filter);
    doc_end(&options);
    return result;
}

static int take_back(struct mongo_conn *conn, const struct doubt *doubt, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_str(&d, doubt->created ? "delete" : "update", STR(CONVERSATIONS));
    doc_list(&d, doubt->created ? "deletes" : "updates");
    doc_open(&d, NULL);
    put_query(&d, doubt);
    if (doubt->created) {
        doc_int32(&d, "limit", 1);
    } else {
        doc_open(&d, "u");
        doc_open(&d, "$set");
        doc_int(&d, "message_count", doubt->before);
        doc_close(&d);
        doc_open(&d, "$inc");
        doc_int(&d, "fence", 1);
        doc_close(&d);
        doc_close(&d);
    }
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, 0, NULL, e);
    doc_end(&d);
    return result;
}

static int remove_messages(struct mongo_conn *conn, const struct doubt *doubt, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "delete", STR(MESSAGES));
    doc_list(&d, "deletes");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    doc_key_range(&d, &doubt->key, doubt->before + 1, doubt->after);
    doc_oid(&d, "group", &doubt->group);
    doc_close(&d);
    doc_int32(&d, "limit", 0);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, NULL, e);
    doc_end(&d);
    return result;
}

/* Its messages tell that it is its count: another's would stand at the same places. */
static int undo(struct mongo_conn *conn, const struct doubt *doubt, struct err *e)
{
    bool there = true;
    if (doubt->after > doubt->before && is_there(conn, doubt, &there, e) < 0)
        return -1;
    if (!there)
        return 0;
    if (take_back(conn, doubt, e) < 0)
        return -1;
    return doubt->after > doubt->before ? remove_messages(conn, doubt, e) : 0;
}

static void forget(struct doubt *d)
{
    free(d->id);
    free(d);
}

int doubts_undo(struct mongo_store *s, struct err *e)
{
    struct list doubts = LIST_INIT(doubts), *first;
    int result = 0, n = 0;
    pthread_mutex_lock(&s->keeper_lock);
    list_splice(&doubts, &s->doubts);
    pthread_mutex_unlock(&s->keeper_lock);
    while (result == 0 && (first = list_pop_front(&doubts))) {
        struct doubt *d = container_of(first, struct doubt, link);
        result = undo(&s->keeper, d, e);
        if (result == 0) {
            forget(d);
            n++;
        } else {
            list_push_front(&doubts, &d->link);
        }
    }
    pthread_mutex_lock(&s->keeper_lock);
    s->ndoubts -= (unsigned)n;
    list_splice(&s->doubts, &doubts);
    pthread_mutex_unlock(&s->keeper_lock);
    if (n)
        log_info("store", "doubtful_appends_undone", F_INT("count", n));
    return result;
}

void doubts_forget(struct mongo_store *s)
{
    struct list *first;
    while ((first = list_pop_front(&s->doubts)))
        forget(container_of(first, struct doubt, link));
}
