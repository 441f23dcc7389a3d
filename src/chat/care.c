/* Beginning a conversation, and asking for a turn and waiting for it. */
#include "chat/care.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "chat/care_turn_impl.h"

#include <stdlib.h>

struct care *care_new(const struct care_config *config)
{
    struct care *care = mem_zalloc(sizeof *care);
    care->config = *config;
    care->surface = (struct chat_surface){
        .space = CARE_SPACE,
        .model = config->model ? config->model : "",
        .persona = "",
        .temperature = 0.8,
        .max_tokens = 500,
        .empty_text = CARE_APOLOGY,
        .failure_text = CARE_APOLOGY,
    };
    care->nloops = config->chat->config.nloops;
    care->loops = mem_array(care->nloops, sizeof *care->loops);
    return care;
}

struct care *care_free(struct care *care)
{
    if (!care)
        return NULL;
    for (size_t i = 0; i < care->nloops; i++)
        map_free(&care->loops[i].locks);
    free(care->loops);
    free(care);
    return NULL;
}

const struct agent *care_demo_agent(void)
{
    return &care_demo;
}

/* ---- beginning ---- */

static struct str welcome_of(const struct care_start *start, const struct agent *agent, struct arena *arena)
{
    if (!start->agent || start->channel == CARE_LIVE)
        return care_welcome_live(agent, arena);
    return care_welcome_rest(agent, clock_wall_ms(), rand_u64() >> 1, arena);
}

static struct str title_of(const struct care_start *start, struct arena *arena)
{
    if (str_trim(start->title).n)
        return str_trim(start->title);
    if (!start->agent)
        return STR(CARE_TITLE_DEMO);
    return start->channel == CARE_LIVE ? care_title_live(start->agent, clock_wall_ms(), arena)
                                       : care_title_rest(clock_wall_ms(), arena);
}

static int check_start(struct care *care, const struct care_start *start, struct err *e)
{
    if (start->owner.n == 0 || start->owner.n > LIMIT_ID)
        return err_set(e, ERR_INVALID_REQUEST, "A conversation needs a user");
    if (start->title.n > LIMIT_TITLE || !utf8_valid(start->title))
        return err_set(e, ERR_INVALID_REQUEST, "Title is too long");
    if (atomic_load_explicit(&care->config.chat->draining, memory_order_acquire))
        return err_set(e, ERR_SHUTTING_DOWN, NULL);
    return 0;
}

struct str care_object_id(struct arena *arena)
{
    char id[OBJECT_ID_LEN + 1];
    rand_object_id(id);
    return arena_str(arena, str_n(id, OBJECT_ID_LEN));
}

/* The agent's prompt and its welcome, as they are stored. */
static void first_messages(const struct care_start *start, const struct care_speech *speech, struct arena *arena,
                           struct message messages[2])
{
    const struct agent *agent = start->agent ? start->agent : &care_demo;
    struct message_facts facts = {.confidence = -1, .audio_url = speech->url};
    struct care_persona persona = {.agent = agent};
    int64_t now = clock_wall_us();
    messages[0] = (struct message){.id = care_object_id(arena),
                                   .role = STR("system"),
                                   .content = care_manner(&persona, arena).persona,
                                   .created_us = now,
                                   .seq = 1};
    messages[1] = (struct message){.id = care_object_id(arena),
                                   .role = STR("assistant"),
                                   .content = messages[1].content,
                                   .meta = message_facts_meta(&facts, arena),
                                   .created_us = now,
                                   .seq = 2};
}

static struct conversation new_conversation(const struct care_start *start, const struct message messages[2],
                                            struct arena *arena)
{
    struct care_meta meta = {.simulator = !start->agent, .own_title = str_trim(start->title).n > 0};
    analytics_add(&meta.figures, &messages[0], arena);
    analytics_add(&meta.figures, &messages[1], arena);
    return (struct conversation){
        .id = care_object_id(arena),
        .space = STR(CARE_SPACE),
        .owner = start->owner,
        .agent_id = start->agent ? start->agent->id : STR(""),
        .title = title_of(start, arena),
        .status = STR("active"),
        .active = true,
        .meta = care_meta_write(&meta, arena),
        .created_us = messages[0].created_us,
        .updated_us = messages[0].created_us,
    };
}

int care_start(struct care *care, const struct care_start *start, struct arena *arena, struct care_started *out,
               struct err *e)
{
    const struct agent *agent = start->agent ? start->agent : &care_demo;
    struct message messages[2] = {0};
    struct store_appended done;
    struct care_record record;
    if (check_start(care, start, e) < 0)
        return -1;
    *out = (struct care_started){0};
    messages[1].content = welcome_of(start, agent, arena);
    if (start->speak) {
        struct care_spoken spoken = {messages[1].content, care_voice_of(agent, arena), start->channel == CARE_REST};
        care_speak(care, &spoken, arena, &out->speech);
    }
    first_messages(start, &out->speech, arena, messages);
    struct store_append append = {
        .conversation = new_conversation(start, messages, arena), .messages = messages, .n = COUNT(messages)};
    if (store_conversation_create(care->config.chat->config.store, arena, &append, &done, e) < 0) {
        care_drop_audio(care, out->speech.url);
        return -1;
    }
    done.conversation.messages = done.messages;
    done.conversation.nmessages = done.n;
    if (care_record_of(care, &done.conversation, arena, &record, e) < 0)
        return -1;
    out->view = care_view_of(&record);
    out->welcome = done.messages[done.n - 1];
    return 0;
}

/* ---- a turn ---- */

static void turn_unref(void *arg)
{
    struct care_turn *t = arg;
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
        arena_free(t->arena);
}

static struct care_turn *turn_new(struct care *care, const struct care_say *say)
{
    struct arena *arena = arena_new("care_turn");
    struct care_turn *t = arena_zalloc(arena, sizeof *t);
    t->care = care;
    t->arena = arena;
    atomic_init(&t->refs, 2);
    t->say = *say;
    t->say.owner = arena_str(arena, say->owner);
    t->say.conversation_id = arena_str(arena, say->conversation_id);
    t->say.text = arena_str(arena, say->text);
    t->say.client_id = arena_str(arena, say->client_id);
    t->say.agent = care_agent_copy(say->agent, arena);
    t->facts.audio_url = arena_str(arena, say->audio_url);
    t->request_id = log_request_id ? arena_cstr(arena, str_c(log_request_id)) : NULL;
    t->asker_loop = loop_self();
    t->asker = task_self();
    return t;
}

/* On the asker's loop. */
static void hand_over(void *arg)
{
    struct care_turn *t = arg;
    t->done = true;
    if (t->asker)
        task_wake(t->asker);
    turn_unref(t);
}

static void pipeline_main(void *arg)
{
    struct care_turn *t = arg;
    log_request_id = t->request_id;
    care_turn_run(t);
    log_request_id = NULL;
    if (t->asker_loop == loop_self())
        hand_over(t);
    else
        loop_post(t->asker_loop, hand_over, t);
}

/* On the home loop. */
static void pipeline_start(void *arg)
{
    struct care_turn *t = arg;
    if (task_room()) {
        task_spawn("care_turn", pipeline_main, t);
        return;
    }
    t->result = err_set(&t->e, ERR_OVERLOADED, NULL);
    loop_post(t->asker_loop, hand_over, t);
}

static int wait_for(struct care_turn *t, struct err *e)
{
    while (!t->done) {
        if (task_park(e) < 0) {
            t->asker = NULL;
            return -1;
        }
    }
    if (t->result < 0 && e)
        *e = t->e;
    return t->result;
}

int care_say(struct care *care, const struct care_say *say, struct arena *arena, struct care_said *out, struct err *e)
{
    if (say->conversation_id.n == 0 || say->conversation_id.n > LIMIT_ID)
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    struct loop *home = chat_home(care->config.chat, say->conversation_id);
    struct care_turn *t = turn_new(care, say);
    if (home == loop_self())
        pipeline_start(t);
    else
        loop_post(home, pipeline_start, t);
    int result = wait_for(t, e);
    if (result < 0) {
        turn_unref(t);
        return -1;
    }
    *out = t->said; /* what it points to lives with the turn */
    arena_own(arena, t, turn_unref);
    return 0;
}
