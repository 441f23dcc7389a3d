/* One thread in the background: looks for the server while it is away, prepares its database, and removes the messages
 * of deleted conversations. */
#include "store/mongo/mongo_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <time.h>

#define LOOK_FIRST    50 /* ms between looks for the server: doubles … */
#define LOOK_MOST     1000
#define SWEEP_EVERY   60000                    /* ms, also when nobody asked: another process may have left something */
#define SWEEP_STEP    500                      /* messages at a time */
#define FORGET_SWEEPS ((int64_t)600 * 1000000) /* a deletion that never came about, in µs */

void keeper_ask(struct mongo_store *s)
{
    pthread_mutex_lock(&s->keeper_lock);
    s->keeper_asked = true;
    pthread_cond_signal(&s->keeper_wanted);
    pthread_mutex_unlock(&s->keeper_lock);
}

void mongo_lost(struct mongo_store *s)
{
    if (atomic_exchange(&s->up, false))
        keeper_ask(s);
}

static void drop_pool(struct mongo_store *s)
{
    mongo_release_conn(&s->keeper);
    mongoc_client_pool_destroy(s->pool);
    s->pool = NULL;
}

static int prepare(struct mongo_store *s, struct err *e)
{
    int result = mongo_prepare(&s->keeper, e);
    if (result == 0 || !atomic_load(&s->no_retry))
        return result;
    /* Nobody else has a connection yet. */
    drop_pool(s);
    log_info("store", "retry_writes_off", F_NONE);
    return mongo_make_pool(s, e) < 0 ? -1 : mongo_prepare(&s->keeper, e);
}

static void interrupt_late(struct mongo_store *s)
{
    int64_t before = atomic_load(&s->interrupt_before), count;
    if (before && mongo_interrupt_streaming(&s->keeper, NULL, &before, &count, NULL) == 0) {
        atomic_store(&s->interrupt_before, 0);
        log_info("store", "replies_interrupted", F_INT("count", count));
    }
}

int keeper_look(struct mongo_store *s, struct err *e)
{
    if ((!s->pool && mongo_make_pool(s, e) < 0) || mongo_ping(&s->keeper, e) < 0)
        return -1;
    if (!atomic_load(&s->prepared)) {
        if (prepare(s, e) < 0)
            return -1;
        atomic_store(&s->prepared, true);
    }
    if (doubts_undo(s, e) < 0)
        return -1;
    interrupt_late(s);
    atomic_store(&s->up, true);
    log_info("store", "connected", F_C("database", s->database));
    return 0;
}

/* ---- deleted conversations ---- */

struct leftover {
    bson_oid_t key;
    struct str conversation;
    int64_t at_us;
};

struct leftovers {
    struct arena *a;
    struct leftover items[64];
    size_t n;
};

static int take_leftover(void *arg, const bson_t *doc, struct err *e)
{
    static const struct field fields[] = {
        {"conversation", FIELD_STR, offsetof(struct leftover, conversation), 0},
        {"at_us", FIELD_INT, offsetof(struct leftover, at_us), 0},
    };
    struct leftovers *l = arg;
    (void)e;
    if (!doc)
        l->n = 0;
    else if (doc_get_oid(doc, "_id", &l->items[l->n].key))
        fields_read(doc, fields, COUNT(fields), l->a, &l->items[l->n++]);
    return 0;
}

static int find_leftovers(struct mongo_conn *conn, struct leftovers *l, struct err *e)
{
    struct doc filter, options;
    doc_begin(&filter);
    doc_begin(&options);
    doc_int(&options, "limit", COUNT(l->items));
    int result = mongo_find(conn, SWEPT, &filter, &options, take_leftover, l, e);
    doc_end(&filter);
    doc_end(&options);
    return result;
}

static int take_seq(void *arg, const bson_t *doc, struct err *e)
{
    (void)e;
    *(int64_t *)arg = doc ? message_seq(doc) : 0;
    return 0;
}

/* The seq up to which the next few messages behind `after` reach; 0: there are none. */
static int next_step(struct mongo_conn *conn, const bson_oid_t *key, int64_t after, int64_t *last, struct err *e)
{
    *last = 0;
    int result = 0;
    for (int64_t skip = SWEEP_STEP - 1; result == 0 && *last == 0 && skip >= 0; skip -= SWEEP_STEP - 1) {
        struct doc filter, options;
        doc_begin(&filter);
        doc_key_range(&filter, key, after + 1, UINT32_MAX);
        doc_begin(&options);
        doc_open(&options, "sort");
        doc_int32(&options, "_id", skip ? 1 : -1);
        doc_close(&options);
        doc_int(&options, "skip", skip);
        doc_int(&options, "limit", 1);
        doc_open(&options, "projection");
        doc_int32(&options, "_id", 1);
        doc_close(&options);
        result = mongo_find(conn, MESSAGES, &filter, &options, take_seq, last, e);
        doc_end(&filter);
        doc_end(&options);
    }
    return result;
}

static int remove_from(struct mongo_conn *conn, const char *collection, void (*filter)(struct doc *d, const void *arg),
                       const void *arg, struct err *e)
{
    struct doc d;
    doc_begin(&d);
    doc_str(&d, "delete", str_c(collection));
    doc_list(&d, "deletes");
    doc_open(&d, NULL);
    doc_open(&d, "q");
    filter(&d, arg);
    doc_close(&d);
    doc_int32(&d, "limit", 0);
    doc_close(&d);
    doc_close(&d);
    int result = mongo_change(conn, &d, RUN_TWICE, NULL, e);
    doc_end(&d);
    return result;
}

struct step {
    const bson_oid_t *key;
    int64_t first, last;
};

static void in_step(struct doc *d, const void *arg)
{
    const struct step *step = arg;
    doc_key_range(d, step->key, step->first, step->last);
}

static void is_key(struct doc *d, const void *arg)
{
    doc_oid(d, "_id", arg);
}

static bool is_ending(struct mongo_store *s)
{
    pthread_mutex_lock(&s->keeper_lock);
    bool ending = s->keeper_end;
    pthread_mutex_unlock(&s->keeper_lock);
    return ending;
}

/* Noted first, deleted then: one that is still there is either about to go, or stays for good. */
static int sweep_one(struct mongo_conn *conn, struct arena *a, const struct leftover *l, struct err *e)
{
    struct head head;
    int found = head_find(conn, a, l->conversation, &head, e);
    if (found < 0)
        return -1;
    if (found && memcmp(&head.key, &l->key, sizeof l->key) == 0)
        return clock_wall_us() - l->at_us < FORGET_SWEEPS ? 0 : remove_from(conn, SWEPT, is_key, &l->key, e);
    struct step step = {&l->key, 1, 0};
    while (!is_ending(conn->store)) {
        if (next_step(conn, &l->key, step.last, &step.last, e) < 0)
            return -1;
        if (step.last == 0)
            return remove_from(conn, SWEPT, is_key, &l->key, e);
        if (remove_from(conn, MESSAGES, in_step, &step, e) < 0)
            return -1;
        step.first = step.last + 1;
    }
    return 0;
}

static void sweep(struct mongo_store *s)
{
    struct arena *a = arena_new("sweep");
    struct leftovers l = {.a = a};
    struct err e;
    if (find_leftovers(&s->keeper, &l, &e) == 0)
        for (size_t i = 0; i < l.n && !is_ending(s); i++)
            if (sweep_one(&s->keeper, a, &l.items[i], &e) < 0)
                break;
    arena_free(a);
}

/* Until asked, or ms have passed; false at the end. */
static bool wait_for(struct mongo_store *s, uint64_t ms)
{
    uint64_t at = clock_mono_ms() + ms;
    struct timespec until = {(time_t)(at / 1000), (long)(at % 1000) * 1000000};
    pthread_mutex_lock(&s->keeper_lock);
    int waited = 0;
    while (!s->keeper_asked && !s->keeper_end && waited == 0)
        waited = pthread_cond_timedwait(&s->keeper_wanted, &s->keeper_lock, &until);
    bool go_on = !s->keeper_end;
    s->keeper_asked = false;
    pthread_mutex_unlock(&s->keeper_lock);
    return go_on;
}

void *keeper_main(void *arg)
{
    struct mongo_store *s = arg;
    struct err e = {0};
    uint64_t pause = atomic_load(&s->up) ? 0 : LOOK_FIRST;
    while (wait_for(s, pause)) {
        if (!atomic_load(&s->up) && keeper_look(s, &e) < 0) {
            pause = MIN(MAX(pause * 2, (uint64_t)LOOK_FIRST), (uint64_t)LOOK_MOST);
            if (e.code == ERR_NOT_CONFIGURED)
                log_error("store", "refused", F_ERR(&e));
            continue;
        }
        sweep(s);
        pause = atomic_load(&s->up) ? SWEEP_EVERY : LOOK_FIRST;
    }
    arena_thread_end();
    return NULL;
}
