/* A turn of customer care under way. Private to chat/. */
#ifndef CHAT_CARE_TURN_IMPL_H
#define CHAT_CARE_TURN_IMPL_H

#include "chat/care_impl.h"
#include "chat/intent.h"

#include <stdatomic.h>

#define CARE_REST_HISTORY 5
#define CARE_TITLE_EVERY  3    /* user messages */
#define CARE_GRACE_MS     1000 /* how long behind the reply's end what was asked beside it is still waited for */

struct care_turn {
    atomic_uint refs; /* the pipeline, whoever asked */
    struct care *care;
    struct arena *arena;
    struct care_say say; /* own copies */
    const char *request_id;

    /* The loop of whoever asked only. */
    struct loop *asker_loop;
    struct task *asker; /* NULL: does not wait any more */
    bool done;

    /* The home loop only, and once it is done the asker's. */
    int result;
    struct err e;
    struct care_said said;
    struct care_record record; /* before the turn; after it, once its steps are done */
    const struct agent *agent;
    const struct company *named; /* by the customer; may be NULL */
    struct sentiment_verdict lexicon;
    struct message_facts facts; /* of the user's message */
    struct str user_meta;
    struct turn_manner manner;
    struct turn_ticket ticket;
    uint64_t replied_ms;
    struct care_question feeling;
    struct care_aside sentiment, title;
    bool audio_kept;          /* a file that no message has yet */
    struct care_lock *lock;   /* held from the store step on */
    struct care_record fresh; /* as it was when that was taken */
};

/* Runs the steps. In a task of the conversation's home loop. */
void care_turn_run(struct care_turn *turn);

#endif
