#include "chat/chat.h"

#include "base/log.h"
#include "base/mem.h"
#include "chat/chat_impl.h"
#include "chat/conversation.h"
#include "chat/turn_impl.h"

#include <stdlib.h>

static void make_metrics(struct chat_metrics *m)
{
    static const double first_token[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                         0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10};
    static const enum message_status outcomes[] = {MESSAGE_COMPLETE, MESSAGE_INTERRUPTED, MESSAGE_FAILED};
    m->turns_running = metric_gauge("parley_turns_running", "Turns running or waiting.", NULL);
    m->rooms = metric_gauge("parley_rooms", "Rooms kept in memory, copies included.", NULL);
    m->first_token =
        metric_histogram("gen_ai_server_time_to_first_token_seconds", "From the start of a turn to its first text.",
                         NULL, first_token, COUNT(first_token), 1e-9);
    for (size_t i = 0; i < COUNT(outcomes); i++) {
        struct buf label = BUF_INIT(64);
        metric_label(&label, "outcome", str_c(message_status_name(outcomes[i])));
        m->turns[outcomes[i]] = metric_counter("parley_turns_total", "Turns that ended.", buf_cstr(&label));
        buf_free(&label);
    }
    m->tokens_in = metric_counter("parley_tokens_total", "Tokens of answered requests.", "direction=\"input\"");
    m->tokens_out = metric_counter("parley_tokens_total", "Tokens of answered requests.", "direction=\"output\"");
}

struct chat *chat_new(const struct chat_config *config)
{
    struct chat *chat = mem_zalloc(sizeof *chat);
    chat->config = *config;
    chat->loops = mem_array(config->nloops, sizeof *chat->loops);
    for (size_t i = 0; i < config->nloops; i++) {
        chat->loops[i].chat = chat;
        chat->loops[i].loop = config->loops[i];
        list_init(&chat->loops[i].turns);
        list_init(&chat->loops[i].works);
    }
    make_metrics(&chat->metrics);
    return chat;
}

struct chat *chat_free(struct chat *chat)
{
    if (!chat)
        return NULL;
    free(chat->loops);
    free(chat);
    return NULL;
}

int chat_recover(struct chat *chat, struct err *e)
{
    int64_t count = 0;
    if (store_interrupt_streaming(chat->config.store, &count, e) < 0)
        return -1;
    if (count)
        log_warn("chat", "replies_interrupted", F_INT("count", count));
    return (int)count;
}

bool chat_has_model(const struct chat *chat)
{
    return chat->config.llm != NULL;
}

struct llm *chat_answerer(const struct chat *chat)
{
    return chat->config.llm ? chat->config.llm : chat->config.responder;
}

struct store *chat_store(struct chat *chat)
{
    return chat->config.store;
}

struct chat_loop *chat_here(struct chat *chat)
{
    return &chat->loops[loop_index(loop_self())];
}

struct chat_loop *chat_home_loop(struct chat *chat, struct str conversation_id)
{
    size_t n = chat->config.nloops;
    return &chat->loops[n == 1 ? 0 : map_hash(conversation_id) % n];
}

struct loop *chat_home(struct chat *chat, struct str conversation_id)
{
    return chat_home_loop(chat, conversation_id)->loop;
}

void chat_drain(struct chat *chat)
{
    atomic_store_explicit(&chat->draining, true, memory_order_release);
}

size_t chat_busy(struct chat *chat)
{
    return chat_here(chat)->busy;
}

void chat_work_begin(struct chat *chat, struct chat_work *work)
{
    work->at = chat_here(chat);
    work->task = task_self();
    work->at->busy++;
    list_push_back(&work->at->works, &work->link);
}

void chat_work_end(struct chat_work *work)
{
    list_remove(&work->link);
    work->at->busy--;
}

void chat_abort(struct chat *chat)
{
    list_each(entry, &chat_here(chat)->works)
        task_cancel(container_of(entry, struct chat_work, link)->task);
    list_each(entry, &chat_here(chat)->turns)
        turn_stop(container_of(entry, struct turn, at_loop), "interrupted");
}

void chat_loop_end(struct chat *chat)
{
    struct chat_loop *here = chat_here(chat);
    struct map views = here->views;
    here->views = (struct map){0};
    here->ended = true;
    map_each(slot, &views)
        room_view_free(slot->value);
    map_free(&views);
}

void chat_count_usage(struct chat *chat, const struct usage *usage)
{
    struct usage counted = *usage;
    struct err e;
    counted.prompt_tokens = MAX(usage->prompt_tokens, 0);
    counted.completion_tokens = MAX(usage->completion_tokens, 0);
    metric_add(chat->metrics.tokens_in, counted.prompt_tokens);
    metric_add(chat->metrics.tokens_out, counted.completion_tokens);
    if (store_usage_add(chat->config.store, &counted, &e) < 0)
        log_warn("chat", "usage_not_saved", F_STR("conversation", usage->conversation_id), F_ERR(&e));
}
