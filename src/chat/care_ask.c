/* Questions to the model about a conversation, beside what is said in it. */
#include "base/log.h"
#include "chat/care_impl.h"
#include "llm/tokens.h"

#define ANSWER_MAX KIB(4)

/* What is longer is no answer to these questions: the rest is not waited for. */
static int read_answer(struct llm_stream *s, struct buf *answer, struct llm_usage *usage, struct err *e)
{
    struct llm_event event;
    int more;
    while ((more = llm_next(s, &event, e)) == 1) {
        if (event.usage.prompt_tokens >= 0 || event.usage.completion_tokens >= 0)
            *usage = event.usage;
        if (event.type == LLM_DELTA && buf_str_add(answer, event.text) < 0)
            return 0;
    }
    return more;
}

static void record(struct care *care, const struct care_question *question, struct str answer,
                   const struct llm_usage *usage)
{
    const char *model = care->surface.model;
    int64_t in = usage->prompt_tokens, out = usage->completion_tokens;
    chat_count_usage(
        care->config.chat,
        &(struct usage){
            .conversation_id = question->conversation_id,
            .model = str_c(*model ? model : llm_default_model(care->config.chat->config.llm)),
            .prompt_tokens =
                in >= 0 ? in : (int64_t)(tokens_estimate(str_c(question->prompt)) + tokens_estimate(question->text)),
            .completion_tokens = out >= 0 ? out : (int64_t)tokens_estimate(answer),
        });
}

static int ask(struct care *care, const struct care_question *question, struct arena *arena, struct buf *answer,
               struct llm_usage *usage, struct err *e)
{
    const struct llm_message messages[] = {{LLM_SYSTEM, str_c(question->prompt)}, {LLM_USER, question->text}};
    struct llm_request rq = {.messages = messages,
                             .nmessages = COUNT(messages),
                             .model = str_c(care->surface.model),
                             .max_tokens = question->max_tokens,
                             .temperature = question->temperature,
                             .stream = true};
    struct llm_stream *s = llm_open(care->config.chat->config.llm, &rq, arena, NULL, e);
    int result = s ? read_answer(s, answer, usage, e) : -1;
    llm_close(s);
    return result;
}

static int ask_in_time(struct care *care, const struct care_question *question, struct arena *arena, struct str *answer,
                       struct llm_usage *usage, struct err *e)
{
    struct buf text = BUF_INIT(ANSWER_MAX);
    struct task_deadline deadline;
    if (!chat_has_model(care->config.chat))
        return err_set(e, ERR_NOT_CONFIGURED, NULL);
    *usage = (struct llm_usage){-1, -1};
    task_deadline_begin(&deadline, CARE_ASK_MS);
    int result = ask(care, question, arena, &text, usage, e);
    task_deadline_end(&deadline);
    if (result == 0)
        *answer = arena_str(arena, buf_str(&text));
    buf_free(&text);
    return result;
}

int care_ask(struct care *care, const struct care_question *question, struct arena *arena, struct str *answer,
             struct err *e)
{
    struct llm_usage usage;
    if (ask_in_time(care, question, arena, answer, &usage, e) < 0)
        return -1;
    record(care, question, *answer, &usage);
    return 0;
}

static void aside_main(void *arg)
{
    struct care_aside *aside = arg;
    struct llm_usage usage;
    struct err e = {0};
    aside->task = task_self();
    aside->answered = ask_in_time(aside->care, &aside->question, aside->arena, &aside->answer, &usage, &e) == 0;
    if (aside->answered) { /* nobody waits for the record of what it cost, and it is kept in any case */
        task_wake(aside->asker);
        task_shield();
        record(aside->care, &aside->question, aside->answer, &usage);
        task_unshield();
    } else if (e.code != ERR_CANCELLED) {
        log_warn("care", "question_failed", F_STR("conversation", aside->question.conversation_id),
                 F_C("code", err_name(e.code)));
    }
    aside->done = true;
    task_wake(aside->asker);
}

void care_aside_begin(struct care_aside *aside, struct care *care, const struct care_question *question)
{
    if (!chat_has_model(care->config.chat) || !task_room())
        return;
    *aside = (struct care_aside){
        .care = care, .question = *question, .arena = arena_new("care_aside"), .asker = task_self(), .asked = true};
    task_spawn("care_question", aside_main, aside);
}

void care_aside_join(struct care_aside *aside, uint64_t until_ms)
{
    struct task_deadline deadline;
    uint64_t now = loop_now_ms(loop_self());
    if (!aside->asked || until_ms <= now)
        return;
    task_deadline_begin(&deadline, until_ms - now);
    while (!aside->done && !aside->answered && task_park(NULL) == 0)
        ;
    task_deadline_end(&deadline);
}

struct str care_aside_answer(const struct care_aside *aside)
{
    return aside->asked && aside->answered ? aside->answer : STR("");
}

void care_aside_end(struct care_aside *aside)
{
    if (!aside->asked)
        return;
    if (!aside->done)
        task_cancel(aside->task);
    task_shield();
    while (!aside->done)
        task_park(NULL);
    task_unshield();
    aside->arena = arena_free(aside->arena);
    aside->asked = false;
}
