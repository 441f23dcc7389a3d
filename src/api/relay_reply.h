/* What the two doors of OpenAI's shape share (dialect 001 and /v1): a stateless call whose events are passed on as they
 * come. Private to api/. */
#ifndef API_RELAY_REPLY_H
#define API_RELAY_REPLY_H

#include "api/api_impl.h"
#include "chat/relay.h"

struct relay_door {
    /* Answers when there is no reply: the call was refused, or failed before its only piece. `refusal` is the
     * upstream's body, empty when it sent none. */
    void (*refuse)(struct http_request *rq, struct str refusal, const struct err *e);
    /* The event that tells why a stream broke, when the upstream sent none of its own. */
    void (*put_failure)(struct jw *w, const struct err *e);
};

/* Makes the call and answers with its stream ([DONE] at the orderly end), or with its one JSON reply. */
void relay_reply(struct http_request *rq, const struct relay_request *request, const struct relay_door *door);
/* A stream of one event and no [DONE]: the upstream's own words, or put_failure's. */
void relay_reply_failure(struct http_request *rq, struct str said, const struct relay_door *door, const struct err *e);

#endif
