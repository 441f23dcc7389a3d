/* One chat.completion.chunk (or whole chat.completion) read into events. Pure; a fuzz target. */
#ifndef LLM_OPENAI_CHUNK_H
#define LLM_OPENAI_CHUNK_H

#include "llm/llm.h"

#define CHUNK_EVENTS 4

struct chunk {
    struct buf scratch; /* unescaped text */
    struct llm_event events[CHUNK_EVENTS];
    struct str key; /* masked in errors; may be empty */
    size_t count;   /* events of the last chunk; at least 1 after a success */
};

void chunk_init(struct chunk *c);
void chunk_free(struct chunk *c);
/* Reads one chunk: delta, tool call, finish, usage, in this order, or LLM_OTHER when it has none of them; the first
 * event has raw = json. -1 with *e when json is no object, or is an error event (UPSTREAM).
 * The events are valid until the next call and as long as json is. */
int chunk_read(struct chunk *c, struct str json, struct err *e);
/* The same for a reply that came whole: LLM_WHOLE, finish, usage. */
int chunk_read_whole(struct chunk *c, struct str json, struct err *e);
/* Whether the last chunk carried usage and nothing else ("choices":[]). */
bool chunk_only_usage(const struct chunk *c);

#endif
