/* What a cloud service says when it refuses, made fit to show: one shape out of many, keys masked. Pure. */
#ifndef CLIENT_REFUSAL_H
#define CLIENT_REFUSAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Sets *e from a body: `error` as an object or a string, a bare object with `message`, FastAPI's `detail`, or anything
 * else (HTML). status is the reply's, 0 for an error in mid-stream: 502 is then used. What looks like a key is masked:
 * sk-..., tokens starred out by the service itself, what follows "Bearer ", and `key` (may be empty). Returns -1. */
int refusal_error(struct str body, int status, struct str key, struct err *e);

/* A copy in the arena on one line (CR and LF dropped), at most max bytes, masked likewise. */
struct str refusal_line(struct arena *a, struct str body, struct str key, size_t max);

#endif
