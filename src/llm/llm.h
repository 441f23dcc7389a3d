/* Language models: a request gives a stream of events. Drivers: openai (any compatible base URL), azure, demo (the
 * embedded responder), and a pool of several with failover before the first byte. Called from tasks. */
#ifndef LLM_LLM_H
#define LLM_LLM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct llm;
struct llm_stream;

enum llm_role { LLM_SYSTEM, LLM_USER, LLM_ASSISTANT, LLM_TOOL };

struct llm_message {
    enum llm_role role;
    struct str content;
};

struct llm_request {
    /* Either messages (chat turns) … */
    const struct llm_message *messages;
    size_t nmessages;
    /* … or the client's own request body, a checked JSON object (relays): passed through member for member, with model,
     * stream and stream_options set as below. */
    struct str body;
    struct str model;   /* "": the driver's default. In a relay: replaces the body's member when not empty */
    int max_tokens;     /* 0: not sent; in a relay: used when the body has no limit of its own */
    double temperature; /* negative: not sent */
    bool stream;        /* relays that want one whole JSON reply clear it; chat turns always stream */
    struct str text;    /* what the demo driver may answer from (companyInfo); ignored by others */
    /* Likewise, each empty when not known: in whose name it answers, of which company, and what the user wants
     * ("question" "support" "purchase" "cancellation" "general"). */
    struct str speaker, company, intent;
    struct str user; /* opaque end-user id, "" when none */
};

struct llm_usage {
    int64_t prompt_tokens, completion_tokens; /* -1: not known */
};

enum llm_event_type {
    LLM_DELTA,     /* text */
    LLM_TOOL_CALL, /* raw only: relays pass it on */
    LLM_OTHER,     /* raw only: role chunks, filters, unknown members */
    LLM_USAGE,     /* usage */
    LLM_FINISH,    /* finish: "stop" "length" "tool_calls" "content_filter" */
    LLM_WHOLE,     /* !stream: raw is the whole reply object; text its first choice's content */
};

struct llm_event {
    enum llm_event_type type;
    struct str text; /* LLM_DELTA: unescaped text to append */
    struct str finish;
    struct llm_usage usage;
    struct str raw; /* the event's JSON in OpenAI's chat.completion.chunk shape; a chunk that carries several things
                     * gives several events: only the first has it, the others' is empty */
};                  /* all valid until the next llm_next */

/* Parks until the upstream accepted the request (its status line) or refused it. NULL with *e; for a refusal e->status
 * is the upstream's status and *refusal (may be NULL) its body on one line, keys masked, in the arena; else it is
 * empty. Strings of rq must stay valid until llm_close. */
struct llm_stream *llm_open(struct llm *llm, const struct llm_request *rq, struct arena *arena, struct str *refusal,
                            struct err *e);
/* Parks until the next event: 1; 0 at the orderly end ([DONE], or a finish followed by the end); -1 with *e: an error
 * event in mid-stream (then event->raw is that event), a cut stream, cancellation. */
int llm_next(struct llm_stream *s, struct llm_event *event, struct err *e);
/* Takes NULL and unfinished streams (their connection is closed at once), returns NULL. */
struct llm_stream *llm_close(struct llm_stream *s);

/* "openai", "azure", "demo", "pool"; the model's name when the request names none. */
const char *llm_name(const struct llm *llm);
const char *llm_default_model(const struct llm *llm);
/* Appends OpenAI's model list ({"object":"list","data":[…]}), asked of the upstream when it has one. */
int llm_models(struct llm *llm, struct buf *out, struct err *e);
/* For `parley check`: 0 when the upstream answers. */
int llm_ping(struct llm *llm, struct err *e);
struct llm *llm_free(struct llm *llm);

#endif
