/* Dialect 000: what its HTTP and its socket side share. Private to api/. */
#ifndef API_AIMCS_IMPL_H
#define API_AIMCS_IMPL_H

#include "api/api_impl.h"
#include "server/websocket.h"

struct aimcs_answer {
    struct str text;
    struct str error;           /* why the model failed, empty when it did not */
    struct str conversation_id; /* empty when nothing was stored */
    struct llm_usage usage;
    bool ai_used;
};

/* One message and its answer, in a task: from the model and stored, or an echo when there is none. The conversation is
 * made when conversation_id is unknown or empty. */
int aimcs_ask(struct api *api, struct str conversation_id, struct str message, const void *origin, struct arena *arena,
              struct aimcs_answer *answer, struct err *e);

/* The member "id": the time in milliseconds, as this dialect's clients know it. */
void aimcs_put_id(struct jw *w);

/* The member "context": the client's own, {} when it sent none. */
void aimcs_put_context(struct jw *w, const struct json_value *context);

extern const struct websocket_ops aimcs_socket; /* /ws/audio and / */

#endif
