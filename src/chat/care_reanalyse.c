/* Judging all of a user's conversations again, from their messages. */
#include "chat/care_impl.h"

/* How long the model is asked at most; later messages keep the judgement they have, or get the lexicon's. */
#define MODEL_MS 30000
#define PER_ONE  20 /* user messages of each conversation that the model is asked about, the last ones */
#define AT_ONCE  8  /* conversations: what they write is on disk together */

struct crew {
    struct care *care;
    struct task *leader; /* walks over the conversations */
    struct list members;
    unsigned running;
    uint64_t until_ms; /* for questions to the model */
    int64_t total, updated;
    struct err failure; /* the first; its code is 0 while there is none */
};

/* One conversation's, in a task of its own. */
struct member {
    struct list link;
    struct crew *crew;
    struct arena *arena;
    struct task *task;
    struct conversation conversation;
};

/* Also when no verdict changed, the figures are counted anew. */
static int store_again(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                       struct err *e)
{
    if (care_store_verdicts(care, record, arg, arena, e) < 0)
        return -1;
    record->meta.figures = (struct analytics){0};
    if (care_count_settled(care, &record->conversation, &record->meta.figures, e) < 0)
        return -1;
    if (!str_eq(care_meta_write(&record->meta, arena), record->conversation.meta))
        *set = CONVERSATION_SET_META;
    return 0;
}

/* 1 when the customer said anything in it. */
static int judge_again(const struct member *m, struct err *e)
{
    struct care *care = m->crew->care;
    struct care_judging judging = {.all = true, .by_model = PER_ONE, .until_ms = m->crew->until_ms};
    struct care_verdicts verdicts;
    struct care_edit edit = {
        .at = {m->conversation.owner, m->conversation.id}, .change = store_again, .arg = &verdicts};
    struct care_record record;
    if (care_record_of(care, &m->conversation, m->arena, &record, e) < 0)
        return -1;
    if (record.figures.user_messages == 0)
        return 0;
    if (care_judge(care, &record, &judging, m->arena, &verdicts, e) < 0 ||
        care_edit(care, &edit, m->arena, &record, e) < 0)
        return -1;
    return 1;
}

static void member_main(void *arg)
{
    struct member *m = arg;
    struct crew *crew = m->crew;
    struct err e = {0};
    m->task = task_self();
    int result = judge_again(m, &e);
    crew->total++;
    crew->updated += result == 1;
    if (result < 0 && e.code != ERR_CONVERSATION_NOT_FOUND && !crew->failure.code) /* else deleted meanwhile */
        crew->failure = e;
    list_remove(&m->link);
    arena_free(m->arena);
    crew->running--;
    task_wake(crew->leader);
}

static int begin_one(void *arg, const struct conversation *c, struct err *e)
{
    struct crew *crew = arg;
    while (crew->running == AT_ONCE || (crew->running && !task_room()))
        if (task_park(e) < 0)
            return -1;
    if (crew->failure.code)
        return -1;
    if (!task_room())
        return err_set(e, ERR_OVERLOADED, NULL);
    struct arena *arena = arena_new("care_reanalyse");
    struct member *m = arena_zalloc(arena, sizeof *m);
    *m = (struct member){.crew = crew, .arena = arena};
    m->conversation.id = arena_str(arena, c->id);
    m->conversation.owner = arena_str(arena, c->owner);
    m->conversation.meta = arena_str(arena, c->meta);
    m->conversation.message_count = c->message_count;
    list_push_back(&crew->members, &m->link);
    crew->running++;
    task_spawn("care_reanalyse", member_main, m);
    return 0;
}

/* Waits for those that were begun; gives them up when the walk failed, or nobody waits for its end any more. */
static int await_crew(struct crew *crew, int result, struct err *e)
{
    while (result == 0 && crew->running)
        result = task_park(e);
    if (result < 0)
        list_each(entry, &crew->members)
            task_cancel(container_of(entry, struct member, link)->task);
    task_shield();
    while (crew->running)
        task_park(NULL);
    task_unshield();
    return result;
}

int care_reanalyse(struct care *care, struct str owner, int64_t *total, int64_t *updated, struct err *e)
{
    struct crew crew = {.care = care, .leader = task_self(), .until_ms = loop_now_ms(loop_self()) + MODEL_MS};
    struct chat_scope scope = {.space = CARE_SPACE, .owner = owner};
    struct conversation_walk walk = {.order = CONVERSATION_BY_CREATED, .each = begin_one, .arg = &crew};
    struct err own = {0};
    if (owner.n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "A user is needed");
    list_init(&crew.members);
    int result = await_crew(&crew, conversation_walk(care->config.chat, &scope, &walk, &own), &own);
    if (crew.failure.code)
        own = crew.failure;
    if (result < 0 || crew.failure.code) {
        if (e)
            *e = own;
        return -1;
    }
    *total = crew.total;
    *updated = crew.updated;
    return 0;
}
