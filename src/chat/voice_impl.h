/* What the files of the voice turn engine share: voice.c the session, voice_items.c what was said, voice_events.c the
 * way out, voice_reply.c and voice_think.c a reply's life, voice_speech.c its audio, voice_turn.c whose turn it is. */
#ifndef CHAT_VOICE_IMPL_H
#define CHAT_VOICE_IMPL_H

#include "base/buf.h"
#include "base/list.h"
#include "base/metrics.h"
#include "chat/voice.h"
#include "chat/voice_input.h"
#include "chat/voice_output.h"
#include "loop/task.h"
#include "loop/timer.h"

#define VOICE_ITEMS       400      /* of a conversation, unless the policy says otherwise */
#define VOICE_ITEM_TEXT   KIB(256) /* bytes of one item */
#define VOICE_ITEMS_TEXT  MIB(1)   /* bytes of all items; the oldest are forgotten */
#define VOICE_REPLIES     4        /* under way at a time; one of them in the conversation */
#define VOICE_AHEAD_MS    20000    /* audio that was sent and cannot have been heard yet */
#define VOICE_SLICE_MS    200      /* audio of one event, at most */
#define VOICE_COMMIT_MS   100      /* the shortest utterance */
#define VOICE_WAITING_MS  400      /* audio of a reply that waits to be sent … */
#define VOICE_MADE_MS     1000     /* … and in voice_output: the client has far more */
#define VOICE_ADDED_AUDIO 4        /* items made of audio (voice_add_audio) whose recognition is under way */

/* Where a sentence lies in the audio of an item. */
struct spoken {
    size_t from, to; /* bytes of the text */
    uint64_t at_ms, ms;
    bool whole; /* all of its audio was sent */
};

struct item {
    struct voice_item shown; /* its text is `text`, as far as it was heard; of a user's audio: once it is known */
    struct list link;        /* of voice.items, or of voice.unplaced */
    struct buf text;
    struct spoken *spoken; /* of an assistant's audio: what was sent, in order */
    size_t nspoken;
    uint64_t utterance;        /* of the session's input; 0: none */
    uint64_t committed;        /* place among the commits; 0: not yet */
    struct voice_input *input; /* of an item made of audio: listens to just that */
    struct voice *voice;       /* whose it is, for that input */
    bool placed;               /* it is in the conversation */
    bool recognizing;          /* its transcript is awaited */
    bool asks;                 /* it is answered when it has words */
    struct err *failure;       /* of its recognition */
};

/* Audio that goes out, as a clock: what can have been heard of it. */
struct playback {
    uint64_t sent_ms, heard_ms, since_ms;
    bool running;
};

struct piece {
    struct piece *next;
    size_t from, to; /* the sentence */
    bool first;      /* of its sentence */
    size_t n;
    char audio[];
};

enum reply_state {
    REPLY_WAITING,  /* for recognition of what was said before it */
    REPLY_THINKING, /* the model is asked; nothing went out */
    REPLY_SPEAKING, /* text or audio went out */
    REPLY_OVER,     /* only its tasks' references remain */
};

struct speech;

struct voice_reply {
    struct list link;    /* of voice.replies */
    struct voice *voice; /* NULL once it is over */
    unsigned refs;
    struct arena *arena;
    enum reply_state state;
    struct voice_response shown;
    struct item *item;
    bool begun;         /* its item was shown */
    bool automatic;     /* an utterance asked for it */
    uint64_t waits_for; /* commits up to this one */
    char after[VOICE_ID];

    struct voice_settings how; /* its own copy */
    const struct voice_new_item *input;
    size_t ninput;

    struct task *thinker;
    bool thought;                /* the text is complete */
    bool spoken;                 /* there will be no more audio */
    const char *unfinished;      /* why it is not what the model meant to say */
    size_t emitted;              /* bytes of the text that went out */
    struct speech *speech;       /* NULL: not begun, or all is spoken */
    struct piece *first, **last; /* audio to go out */
    size_t waiting;              /* bytes of it */
    uint64_t sent;               /* bytes that went out */
    struct playback playback;
    struct timer stall, pace;
    struct err failure; /* of synthesis, then the reply's */
};

/* Speech of the user that may be an interruption. */
struct barge {
    uint64_t first;     /* utterance; 0: none */
    bool holds;         /* the reply under way is held back meanwhile */
    struct timer timer; /* looks how long they speak */
};

struct note;

struct voice {
    struct loop *loop;
    struct chat *chat;
    const struct voice_policy *policy;
    const struct voice_ops *ops;
    void *arg;
    struct voice_settings settings;
    char *strings; /* of the settings */
    struct voice_input *input;
    uint64_t written; /* bytes */

    struct list items, unplaced;
    size_t nitems;
    uint64_t commits; /* counts */
    uint64_t newest;  /* utterance that was heard of */
    unsigned added;   /* items made of audio, whose recognition is under way */

    struct list replies;
    struct voice_reply *reply; /* the one in the conversation */
    bool owed;                 /* an utterance with words is to be answered */
    bool spoke;                /* the voice was heard: it stays */
    uint64_t asked_ns;         /* when the last utterance ended; 0: its reply is heard already */
    bool paused;
    struct barge barge;
    struct timer idle;
    struct playback playback; /* of the last reply, which may still be heard */
    char last[VOICE_ID];      /* its item; "": none, or it was cut already */

    struct note *first_note, **last_note;
    struct loop_end end;
    bool dispatching, closed;
};

/* ---- voice_metrics.c ---- */

struct voice_metrics {
    struct metric *sessions, *interrupted, *resumed, *first_audio;
    struct metric *replies[VOICE_RESPONSE_INCOMPLETE + 1]; /* by outcome; none is RUNNING */
};
const struct voice_metrics *voice_metrics(void);

/* ---- voice_items.c ---- */

/* A new one: "item_…". */
void voice_id(char out[VOICE_ID], const char *prefix);
/* id "": one is made. */
struct item *voice_item_new(struct voice *v, enum voice_item_kind kind, struct str id, bool audio);
/* Also takes it out of its list. */
void voice_item_free(struct voice *v, struct item *item);
/* Puts it behind `after` ("": at the end, "root": at the beginning, unknown: at the end); forgets the oldest when there
 * are too many. */
void voice_item_place(struct voice *v, struct item *item, struct str after);
struct item *voice_item_find(const struct voice *v, struct str id);
/* By its utterance, placed or not. */
struct item *voice_item_heard(struct voice *v, uint64_t utterance);
/* The item before, NULL for the first. */
const char *voice_item_previous(const struct voice *v, const struct item *item);
/* Replaces the text; it is cut at VOICE_ITEM_TEXT. */
void voice_item_set_text(struct item *item, struct str text);
/* Shows the first n bytes of its text. */
void voice_item_show(struct item *item, size_t n);
/* Audio of a sentence went out: ms of it, from at_ms on. */
void voice_item_spoke(struct item *item, const struct piece *piece, uint64_t at_ms, uint64_t ms);
/* No more audio of its last sentence will come. */
void voice_item_all_spoken(struct item *item);
/* How many bytes of the text fit into the first ms of its audio. */
size_t voice_item_fits(const struct item *item, uint64_t ms);
/* The sentence that is heard at ms, NULL when all that was sent is. */
struct spoken *voice_item_at(const struct item *item, uint64_t ms);
/* The audio from ms on was never heard: what remains of the text there is not forgotten, the audio is. */
void voice_item_unspeak(struct item *item, uint64_t ms);

/* ---- voice_events.c ---- */

/* Copies all that it shows; goes out before the loop blocks. */
void voice_note(struct voice *v, const struct voice_event *event);
void voice_note_item(struct voice *v, enum voice_event_type type, const struct item *item, uint64_t at_ms);
void voice_note_response(struct voice *v, enum voice_event_type type, const struct voice_reply *r);
/* Now: only while events go out. */
void voice_emit(struct voice *v, const struct voice_event *event);
/* Events, or output of replies, may go out. */
void voice_stir(struct voice *v);
void voice_events_init(struct voice *v);
void voice_events_free(struct voice *v);

/* ---- voice_reply.c ---- */

/* Begins a reply; ask NULL: the answer to an utterance. -1 when too many are under way. */
int voice_reply_begin(struct voice *v, const struct voice_ask *ask, struct err *e);
/* Says again what an interruption that was none cut off. */
void voice_reply_repeat(struct voice *v, struct str text);
void voice_reply_end(struct voice_reply *r, enum voice_outcome outcome, const char *reason, const struct err *failure);
/* Lets go of it without a word: the session closes. */
void voice_reply_drop(struct voice_reply *r);
void voice_reply_unref(struct voice_reply *r);
/* Forgets the audio that was not sent. */
void voice_reply_drop_audio(struct voice_reply *r);
/* Recognition of something is over: replies that wait for it go on. */
void voice_replies_ready(struct voice *v);
/* Sends what may be sent. Whether anything changed. */
bool voice_replies_pump(struct voice *v);
/* It made progress: the watchdog begins anew. */
void voice_reply_alive(struct voice_reply *r);
/* The model's text goes on. -1 when it is as long as a reply may be. */
int voice_reply_said(struct voice_reply *r, struct str text);
/* The model's text is complete. */
void voice_reply_thought(struct voice_reply *r);
void voice_reply_fail(struct voice_reply *r, enum err_code code, const char *text);

/* ---- voice_think.c ---- */

/* Asks the model, in a task of its own. */
void voice_reply_think(struct voice_reply *r);

/* ---- voice_speech.c ---- */

/* Speaks the text from byte `from` on, and what will be added. */
void voice_speech_begin(struct voice_reply *r, size_t from);
void voice_speech_say(struct voice_reply *r, struct str text);
void voice_speech_finish(struct voice_reply *r);
void voice_speech_stop(struct voice_reply *r);
/* Room for more audio. */
void voice_speech_wake(struct voice_reply *r);
/* The client forgot what it has from ms on; what is still to be sent comes there. */
void voice_speech_cut(struct voice_reply *r, uint64_t ms);
/* From the sentence on in which it was interrupted. */
void voice_speech_again(struct voice_reply *r);

uint64_t voice_playback_heard(const struct playback *p, uint64_t now_ms);
void voice_playback_sent(struct playback *p, uint64_t now_ms, uint64_t sent_ms);
void voice_playback_stop(struct playback *p, uint64_t now_ms);

/* ---- voice_turn.c ---- */

void voice_turn_init(struct voice *v);
void voice_turn_stop(struct voice *v);
void voice_turn_heard(void *arg, const struct voice_heard *heard);
/* The utterance of this item is over: it becomes part of the conversation. */
void voice_turn_commit(struct voice *v, struct item *item, bool asks);
/* The item of an utterance; a new one when it was not heard of before, NULL when it was and is forgotten. */
struct item *voice_turn_utterance(struct voice *v, uint64_t utterance);
/* Its recognition is over. */
void voice_turn_recognized(struct voice *v, struct item *item, const struct voice_heard *heard);
/* Answers what is owed, if it is the moment. */
void voice_turn_answer(struct voice *v);
/* The utterances of a possible interruption came to nothing, or may have. */
void voice_turn_settle(struct voice *v);
/* A reply of the conversation is over. */
void voice_turn_replied(struct voice *v);

#endif
