/* Starting turns, waiting for them and looking at what was stored. */
#ifndef TEST_CHAT_TURN_ENV_H
#define TEST_CHAT_TURN_ENV_H

#include "unit/chat/chat_env.h"

static const struct chat_scope chat_scope_ = {.space = "chat"};

static inline struct turn_request asking(const char *id, const char *text)
{
    return (struct turn_request){
        .surface = &surface, .conversation_id = str_c(id), .create = true, .text = str_c(text)};
}

static inline struct turn_ticket begin_turn(struct env *env, const struct turn_request *request)
{
    struct turn_ticket ticket;
    assert_ok(env, turn_start(env->chat, request, env->a, &ticket, &env->e));
    return ticket;
}

static inline struct turn_ticket ask(struct env *env, const char *id, const char *text)
{
    struct turn_request request = asking(id, text);
    return begin_turn(env, &request);
}

static inline struct turn_result outcome(struct env *env, const struct turn_ticket *ticket)
{
    struct turn_result result;
    assert_ok(env, turn_wait(env->chat, ticket, env->a, &result, &env->e));
    return result;
}

static inline struct turn_result ask_and_wait(struct env *env, const char *id, const char *text)
{
    struct turn_ticket ticket = ask(env, id, text);
    return outcome(env, &ticket);
}

static inline struct message stored(struct env *env, struct str conversation_id, struct str message_id)
{
    struct message_ref ref = {conversation_id, message_id};
    struct message message;
    assert_ok(env, store_message_get(env->st, env->a, &ref, &message, &env->e));
    return message;
}

static inline struct conversation conversation_of(struct env *env, const char *id)
{
    struct conversation c;
    assert_ok(env, conversation_get(env->chat, &chat_scope_, str_c(id), STORE_ALL, env->a, &c, &env->e));
    return c;
}

/* Until the last turn has left its queue, its usage recorded. */
static inline void await_idle(struct env *env)
{
    while (chat_busy(env->chat))
        task_sleep(1, NULL);
}

/* Until the ear heard so many events. */
static inline void await_heard(struct ear *ear, uint64_t last)
{
    while (ear->last < last)
        task_sleep(1, NULL);
}

#endif
