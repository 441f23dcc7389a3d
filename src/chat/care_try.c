/* Trying an agent: a turn that is not stored. */
#include "base/utf8.h"
#include "chat/care_impl.h"
#include "chat/intent.h"

#define TRY_MS 60000

static int collect(struct llm_stream *s, struct buf *text, struct llm_usage *usage, struct err *e)
{
    struct llm_event event;
    int more;
    while ((more = llm_next(s, &event, e)) == 1) {
        if (event.usage.prompt_tokens >= 0 || event.usage.completion_tokens >= 0)
            *usage = event.usage;
        if (event.type == LLM_DELTA && buf_str_add(text, event.text) < 0)
            return 0;
    }
    return more;
}

static int ask(struct care *care, const struct turn_manner *manner, struct str text, struct arena *arena,
               struct buf *reply, struct err *e)
{
    const struct llm_message messages[] = {{LLM_SYSTEM, manner->persona}, {LLM_USER, text}};
    struct llm *llm = chat_answerer(care->config.chat);
    if (!llm)
        return err_set(e, ERR_NOT_CONFIGURED, "No model is configured");
    struct llm_request rq = {
        .messages = messages,
        .nmessages = COUNT(messages),
        .model = str_c(care->surface.model),
        .temperature = manner->temperature >= 0 ? manner->temperature : care->surface.temperature,
        .max_tokens = manner->max_tokens ? manner->max_tokens : care->surface.max_tokens,
        .stream = true,
        .text = manner->knowledge,
        .speaker = manner->speaker,
        .company = manner->company,
        .intent = str_c(intent_name(intent_main(intents_of(text)))),
    };
    struct llm_usage usage = {-1, -1};
    struct llm_stream *s = llm_open(llm, &rq, arena, NULL, e);
    int result = s ? collect(s, reply, &usage, e) : -1;
    llm_close(s);
    if (result == 0)
        chat_count_usage(care->config.chat,
                         &(struct usage){.model = rq.model.n ? rq.model : str_c(llm_default_model(llm)),
                                         .prompt_tokens = usage.prompt_tokens,
                                         .completion_tokens = usage.completion_tokens});
    return result;
}

int care_try(struct care *care, const struct agent *agent, struct str text, struct arena *arena, struct str *reply,
             struct err *e)
{
    struct buf said = BUF_INIT(LIMIT_REPLY_TEXT);
    struct task_deadline deadline;
    if (str_trim(text).n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "Message is required");
    if (text.n > LIMIT_MESSAGE_TEXT || !utf8_valid(text))
        return err_set(e, ERR_INVALID_REQUEST, "Message is longer than %zu bytes", (size_t)LIMIT_MESSAGE_TEXT);
    struct care_persona persona = {.agent = agent, .company = company_detect(text)};
    struct turn_manner manner = care_manner(&persona, arena);
    task_deadline_begin(&deadline, TRY_MS);
    int result = ask(care, &manner, text, arena, &said, e);
    task_deadline_end(&deadline);
    if (result == 0)
        *reply = arena_str(arena, buf_str(&said));
    buf_free(&said);
    return result;
}
