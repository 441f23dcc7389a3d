/* Stateless completions: the client brings the whole conversation and nothing is stored. The upstream's events are
 * passed on as they come; when the client goes away its task is cancelled, and with it the upstream call. */
#ifndef CHAT_RELAY_H
#define CHAT_RELAY_H

#include "chat/chat.h"

struct relay;

struct relay_request {
    struct str body;           /* checked JSON object in OpenAI's shape */
    const char *default_model; /* for a body without a model; NULL: the driver's */
    int default_max_tokens;    /* for a body without a limit; 0: none */
    bool stream;
    bool offline;        /* without a model the embedded responder answers, instead of NOT_CONFIGURED */
    const char *dialect; /* for the log */
};

/* As llm_open, on the configured model. */
struct relay *relay_open(struct chat *chat, const struct relay_request *request, struct arena *arena,
                         struct str *refusal, struct err *e);
/* The next piece of the reply as it goes to the client: 1 and *raw (an event's JSON, or the whole reply when not
 * streaming), 0 at the orderly end, -1 with *e; *raw is then the upstream's error event when it sent one. */
int relay_next(struct relay *relay, struct str *raw, struct err *e);
/* Takes NULL, returns NULL. Records the usage. */
struct relay *relay_close(struct relay *relay);

/* OpenAI's model list. */
int relay_models(struct chat *chat, struct buf *out, struct err *e);

#endif
