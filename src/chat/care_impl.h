/* What the files of customer care share. Private to chat/. */
#ifndef CHAT_CARE_IMPL_H
#define CHAT_CARE_IMPL_H

#include "chat/care.h"
#include "chat/care_words.h"
#include "chat/chat_impl.h"
#include "chat/conversation.h"
#include "chat/intent.h"

/* One loop's part. */
struct care_loop {
    struct map locks; /* conversation id -> struct care_lock */
};

struct care {
    struct care_config config;
    struct chat_surface surface;
    struct care_loop *loops;
    size_t nloops;
};

struct chat_scope care_scope(struct str owner);
/* A new id of this dialect, for conversations and messages. */
struct str care_object_id(struct arena *arena);

/* ---- what is kept with a conversation: care_record.c ---- */

struct care_meta {
    bool simulator;
    bool own_title; /* chosen by the user: only who asks for another one replaces it */
    struct str company, custom;
    struct analytics figures; /* as kept: figures.counted says how far they go */
};
struct care_meta care_meta_read(struct str json, struct arena *arena);
struct str care_meta_write(const struct care_meta *meta, struct arena *arena);

/* A conversation as it is stored, with what its meta says and its figures up to date. */
struct care_record {
    struct conversation conversation;
    struct care_meta meta;
    struct analytics figures;
};
/* Which: one of the owner's. */
struct care_place {
    struct str owner, id;
};
/* messages: as conversation_get. CONVERSATION_NOT_FOUND. */
int care_load(struct care *care, const struct care_place *at, int64_t messages, struct arena *arena,
              struct care_record *out, struct err *e);
/* The same, with the figures as they are kept. */
int care_load_kept(struct care *care, const struct care_place *at, int64_t messages, struct arena *arena,
                   struct care_record *out, struct err *e);
/* The same of a conversation that was listed. */
int care_record_of(struct care *care, const struct conversation *conversation, struct arena *arena,
                   struct care_record *out, struct err *e);
struct care_view care_view_of(const struct care_record *record);

/* ---- figures: care_figures.c ---- */

/* Folds in the messages behind figures->counted, up to the conversation's message_count. */
int care_count(struct care *care, const struct conversation *conversation, struct analytics *figures, struct err *e);
/* The same, but stops before a message that is still being written: what is kept must not change any more. */
int care_count_settled(struct care *care, const struct conversation *conversation, struct analytics *figures,
                       struct err *e);

/* ---- one at a time: care_lock.c ---- */

/* Whoever changes a conversation's meta, or messages that its figures counted, holds the conversation's lock, on its
 * home loop. */
struct care_lock;
struct care_lock *care_lock(struct care *care, struct str id, struct err *e); /* NULL: cancelled */
void care_unlock(struct care_lock *lock);                                     /* takes NULL */

/* Runs change() on the home loop under the lock, with the conversation as it is now and so many of its messages; then
 * writes the members that it added to *set (enum conversation_set), with the record's meta. Nothing is written when it
 * left *set 0. */
struct care_edit {
    struct care_place at;
    int64_t messages;
    int (*change)(struct care *care, struct care_record *record, void *arg, unsigned *set, struct arena *arena,
                  struct err *e);
    void *arg;
};
int care_edit(struct care *care, const struct care_edit *edit, struct arena *arena, struct care_record *out,
              struct err *e);
/* Writes record->conversation's members in `set`, its meta and figures (counted up to the last settled message). Under
 * the lock. */
int care_keep(struct care *care, struct care_record *record, unsigned set, struct arena *arena, struct err *e);
/* Messages that the kept figures counted are about to change: from here on they do not count as counted. Under the
 * lock; harmless when seq is behind what was counted. */
int care_forget_figures(struct care *care, struct care_record *record, int64_t seq, struct arena *arena, struct err *e);

/* ---- agents: care_agent.c ---- */

/* Who answers in this conversation: its own agent, the simulator's, the one that the client brought, or a general one.
 * Cannot be NULL when 0 is returned. */
int care_agent_of(struct care *care, const struct care_record *record, const struct agent *brought, struct arena *arena,
                  const struct agent **out, struct err *e);
const struct agent *care_agent_copy(const struct agent *agent, struct arena *arena);
/* How it answers. company: NULL: none. `manner` gets everything but `intent` and `history`. */
struct care_persona {
    const struct agent *agent;
    const struct company *company; /* that the customer named */
    bool urgent;
};
struct turn_manner care_manner(const struct care_persona *persona, struct arena *arena);
struct str care_voice_of(const struct agent *agent, struct arena *arena);

/* ---- questions to the model: care_ask.c ---- */

struct care_question {
    const char *prompt;
    struct str text, conversation_id;
    double temperature;
    int max_tokens;
};
#define CARE_ASK_MS 10000 /* how long a question may take */
/* NOT_CONFIGURED without a model. The answer is cut at a few KiB. */
int care_ask(struct care *care, const struct care_question *question, struct arena *arena, struct str *answer,
             struct err *e);

/* A question asked beside the work of a task, of the same loop. Zero-initialise; always end it. */
struct care_aside {
    struct care *care;
    struct care_question question;
    struct arena *arena;
    struct task *task, *asker;
    bool asked, done, answered;
    struct str answer;
};
/* Begins it, with strings that stay valid until the end. The running task becomes the one that ends it. */
void care_aside_begin(struct care_aside *aside, struct care *care, const struct care_question *question);
/* Waits for the answer, at most until then by the loop's clock. */
void care_aside_join(struct care_aside *aside, uint64_t until_ms);
/* Empty when there is none. Valid until care_aside_end. */
struct str care_aside_answer(const struct care_aside *aside);
/* Gives up what is still under way. Harmless twice, or when it never began. */
void care_aside_end(struct care_aside *aside);

/* ---- sentiment: care_sentiment.c ---- */

#define CARE_TEXT_MAX KIB(2) /* of one message: enough to tell a mood by */
#define CARE_JUDGED   10     /* the last so many of the user's messages say how the customer feels */
/* The last CARE_JUDGED of the texts that were added, oldest first; long ones are cut. */
struct care_texts {
    struct str items[CARE_JUDGED];
    size_t n;
};
void care_texts_add(struct care_texts *texts, struct str text);
/* Those of the user's messages. */
void care_texts_add_users(struct care_texts *texts, const struct message *messages, size_t n);
struct care_question care_sentiment_question(const struct care_texts *texts, struct str conversation_id,
                                             struct arena *arena);
/* What the answer says; where it says nothing, the lexicon's verdict. */
struct sentiment_verdict care_verdict(struct str answer, struct sentiment_verdict lexicon);

/* ---- judging messages that are stored: care_judge.c ---- */

/* Which of the user's messages get a sentiment: those that have none, or `all`. The last `by_model` of them are judged
 * by the model, if there is one that answers; the others by the lexicon. */
struct care_judging {
    bool all;
    int64_t by_model;
    uint64_t until_ms; /* of the loop's clock: no question to the model begins later */
};
/* What is to be stored: made without the lock, since it may take long, and stored under it. */
struct care_verdicts {
    struct list items; /* struct care_judged, in the order of the messages */
    size_t n;
};
int care_judge(struct care *care, const struct care_record *record, const struct care_judging *judging,
               struct arena *arena, struct care_verdicts *out, struct err *e);
int care_store_verdicts(struct care *care, struct care_record *record, const struct care_verdicts *verdicts,
                        struct arena *arena, struct err *e);

/* Judges the conversation's messages that nobody judged yet: the last one by the model. */
int care_judge_missing(struct care *care, const struct care_place *at, struct care_record *record, struct arena *arena,
                       struct err *e);

/* ---- titles: care_title.c ---- */

#define CARE_TALK 20 /* the last so many messages say what a conversation is about */
struct care_talk {
    const struct message *messages;
    size_t n;
    struct str more; /* of the user, behind them; empty: nothing */
};
struct care_question care_title_question(const struct care_talk *talk, struct str conversation_id, struct arena *arena);
/* A title of the answer; empty when it is none. */
struct str care_title_of_answer(struct str answer, struct arena *arena);
/* Asks; the documented title when there is no answer. */
struct str care_title_now(struct care *care, const struct conversation *conversation, struct arena *arena);

/* ---- speech: care_speech.c ---- */

struct care_spoken {
    struct str text, voice;
    bool keep; /* keeps it and tells its address; otherwise gives the audio */
};
/* Speaks. A failure is logged and leaves *out empty. */
void care_speak(struct care *care, const struct care_spoken *spoken, struct arena *arena, struct care_speech *out);
/* Deletes the audio behind the address, if it is one of kept audio. */
void care_drop_audio(struct care *care, struct str url);

#endif
