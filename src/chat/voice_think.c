/* What a reply says: the conversation goes to the model, its text comes back. */
#include "base/limits.h"
#include "base/log.h"
#include "chat/chat_impl.h"
#include "chat/voice_impl.h"
#include "llm/tokens.h"

/* Spoken language is not written language. */
static const char persona[] =
    "You are a friendly assistant in a spoken conversation. What you write is read aloud: answer in one to three short "
    "sentences of plain spoken words, in the language of the user, without Markdown, lists, headings, emoji, links or "
    "abbreviations. What the user says was recognized from speech: read over small mistakes, and ask when you did not "
    "understand. The turn (silence) means that the user said nothing.";
#define SILENCE "(silence)"

struct thought {
    struct voice_reply *r;
    struct llm *llm;
    struct llm_message *messages;
    size_t n;
};

static enum llm_role role_of(enum voice_item_kind kind)
{
    switch (kind) {
    case VOICE_ITEM_SYSTEM:
        return LLM_SYSTEM;
    case VOICE_ITEM_ASSISTANT:
        return LLM_ASSISTANT;
    case VOICE_ITEM_USER:
        break;
    }
    return LLM_USER;
}

static void add_input(struct thought *t)
{
    const struct voice_reply *r = t->r;
    for (size_t i = 0; i < r->ninput; i++)
        t->messages[t->n++] = (struct llm_message){role_of(r->input[i].kind), r->input[i].text};
}

/* The first item that the model is told of: as many as the budget has room for, the newest in any case. */
static const struct list *first_item(const struct voice *v, size_t budget)
{
    const struct list *at = v->items.prev;
    for (bool newest = true; at != &v->items; at = at->prev, newest = false) {
        size_t cost = tokens_estimate(container_of(at, struct item, link)->shown.text) + TOKENS_PER_MESSAGE;
        if (cost > budget && !newest)
            break;
        budget -= MIN(cost, budget);
    }
    return at->next;
}

static void add_items(struct thought *t)
{
    const struct voice *v = t->r->voice;
    struct arena *arena = t->r->arena;
    for (const struct list *at = first_item(v, v->chat->config.history_tokens); at != &v->items; at = at->next) {
        const struct item *item = container_of(at, struct item, link);
        struct str text = str_trim(item->shown.text);
        if (text.n)
            t->messages[t->n++] = (struct llm_message){role_of(item->shown.kind), arena_str(arena, text)};
        else if (at->next == &v->items && item->shown.kind == VOICE_ITEM_USER)
            t->messages[t->n++] = (struct llm_message){LLM_USER, STR(SILENCE)};
    }
}

static struct thought *thought_new(struct voice_reply *r, struct llm *llm)
{
    const struct voice *v = r->voice;
    struct thought *t = arena_zalloc(r->arena, sizeof *t);
    *t = (struct thought){.r = r, .llm = llm};
    t->messages = arena_alloc(r->arena, ((r->input ? r->ninput : v->nitems) + 2) * sizeof *t->messages);
    struct str instructions = r->how.instructions;
    t->messages[t->n++] = (struct llm_message){LLM_SYSTEM, instructions.n ? instructions : str_c(persona)};
    if (r->input)
        add_input(t);
    else
        add_items(t);
    return t;
}

/* The reply ended while the model was waited for. */
static bool over(const struct voice_reply *r)
{
    return r->state == REPLY_OVER;
}

static int read_model(struct voice_reply *r, struct llm_stream *s, struct err *e)
{
    struct llm_event event;
    int more = 1;
    while (!over(r) && (more = llm_next(s, &event, e)) == 1 && !over(r)) {
        if (event.usage.prompt_tokens >= 0 || event.usage.completion_tokens >= 0)
            r->shown.usage = event.usage;
        if (event.type == LLM_FINISH && str_eqc(event.finish, "length"))
            r->unfinished = "max_output_tokens";
        if (event.type == LLM_FINISH && str_eqc(event.finish, "content_filter"))
            r->unfinished = "content_filter";
        if (event.type == LLM_DELTA && voice_reply_said(r, event.text) < 0) {
            r->unfinished = "max_output_tokens";
            return 0;
        }
    }
    return more;
}

static int ask(struct thought *t, struct err *e)
{
    const struct voice_settings *how = &t->r->how;
    struct llm_request rq = {.messages = t->messages,
                             .nmessages = t->n,
                             .model = how->model,
                             .max_tokens = how->max_tokens,
                             .temperature = how->temperature,
                             .stream = true,
                             .text = STR("")};
    struct llm_stream *s = llm_open(t->llm, &rq, t->r->arena, NULL, e);
    if (!s)
        return -1;
    int result = read_model(t->r, s, e);
    llm_close(s);
    return result;
}

/* Own words: what the upstream said stays between it and us. */
static const char *failure_text(enum err_code code)
{
    if (code == ERR_OVERLOADED || code == ERR_RATE_LIMIT_EXCEEDED)
        return "The model is busy. Please try again.";
    if (code == ERR_UPSTREAM_UNREACHABLE)
        return "The model cannot be reached";
    if (code == ERR_TIMEOUT)
        return "The model took too long";
    return code == ERR_NOT_CONFIGURED ? "No model is configured" : "The model failed to answer";
}

/* The session may be gone by now, its reply is not. */
static void count_usage(const struct voice_reply *r, struct chat *chat, const struct llm *llm)
{
    const struct llm_usage *used = &r->shown.usage;
    if (used->prompt_tokens < 0 && used->completion_tokens < 0)
        return;
    task_shield();
    chat_count_usage(chat, &(struct usage){.conversation_id = STR(""),
                                           .message_id = str_c(r->shown.id),
                                           .model = r->how.model.n ? r->how.model : str_c(llm_default_model(llm)),
                                           .prompt_tokens = used->prompt_tokens,
                                           .completion_tokens = used->completion_tokens});
    task_unshield();
}

static void conclude(struct voice_reply *r, int result, const struct err *e)
{
    bool silent = str_trim(buf_str(&r->item->text)).n == 0;
    if (result < 0)
        voice_reply_fail(r, e->code, failure_text(e->code));
    else if (silent && !r->unfinished)
        voice_reply_fail(r, ERR_UPSTREAM, "The model gave no answer");
    else if (silent)
        voice_reply_end(r, VOICE_RESPONSE_INCOMPLETE, r->unfinished, NULL);
    else
        voice_reply_thought(r);
}

static void think_main(void *arg)
{
    struct thought *t = arg;
    struct voice_reply *r = t->r;
    struct chat *chat = r->voice->chat;
    struct err e = {0};
    r->thinker = task_self();
    int result = ask(t, &e);
    r->thinker = NULL;
    if (!over(r))
        conclude(r, result, &e);
    count_usage(r, chat, t->llm);
    voice_reply_unref(r);
}

void voice_reply_think(struct voice_reply *r)
{
    struct llm *llm = chat_answerer(r->voice->chat);
    if (!llm) {
        voice_reply_fail(r, ERR_NOT_CONFIGURED, failure_text(ERR_NOT_CONFIGURED));
        return;
    }
    if (!task_room()) {
        voice_reply_fail(r, ERR_OVERLOADED, err_text(ERR_OVERLOADED));
        return;
    }
    r->refs++;
    task_spawn("voice_think", think_main, thought_new(r, llm));
}
