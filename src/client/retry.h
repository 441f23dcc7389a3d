/* When and after how long a refused or failed call is tried again: the policy of OpenAI's official SDKs. Pure. */
#ifndef CLIENT_RETRY_H
#define CLIENT_RETRY_H

#include "base/str.h"

#define RETRY_LONGEST_MS 60000 /* asked to wait longer than this, the caller gets the error instead */

/* What the upstream said; absent headers are STR_NONE. */
struct retry_reply {
    int status;
    struct str should_retry, retry_after_ms, retry_after;
};

/* x-should-retry decides; else 408, 409, 429 and 5xx. */
bool retry_wanted(const struct retry_reply *reply);
/* What retry-after-ms or Retry-After (seconds or an HTTP date, measured from wall_ms) asks for; -1 when neither says.
 */
int64_t retry_asked_ms(const struct retry_reply *reply, int64_t wall_ms);
/* 0.5 s * 2^attempt, at most 8 s, less up to a quarter at random. attempt counts from 0. */
unsigned retry_backoff_ms(unsigned attempt);

#endif
