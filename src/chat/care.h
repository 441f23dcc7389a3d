/* Customer care: conversations of a user with an agent, understood as they go. A turn runs through the steps of the
 * table in care_turn.c: company, intent, sentiment, prompt, reply, speech, store, analytics. Conversations are of the
 * space "care", owned by a user, and of nobody else; their ids have 24 hex digits. All calls from tasks of any loop.
 *
 * A conversation's meta is one JSON object: {"simulator":bool, "ownTitle":bool (the user chose the title),
 * "company":"…", "analytics":{…} (chat/analytics.h), "custom":{…} (what a client keeps there)}. Figures whose `counted`
 * is not the conversation's message_count are recounted when they are read: what the outside sees always equals a
 * recount. */
#ifndef CHAT_CARE_H
#define CHAT_CARE_H

#include "chat/agent.h"
#include "chat/analytics.h"
#include "chat/chat.h"
#include "chat/turn.h"
#include "speech/speech.h"

#define CARE_SPACE "care"

struct care;

#define CARE_AUDIO_NAME 96
/* Keeps audio for as long as its conversation lives; api/ has the folder. */
struct care_audio {
    void *arg;
    /* Writes the name under which it is served: "response-<ms>-<random>.mp3". -1: it is not kept. */
    int (*keep)(void *arg, enum speech_format format, struct str bytes, char name[CARE_AUDIO_NAME], struct err *e);
    void (*drop)(void *arg, struct str name);
};

struct care_config {
    struct chat *chat;
    struct tts *tts;   /* NULL: nobody speaks */
    const char *model; /* "": the driver's default */
    struct care_audio audio;
};

/* The loops must not run yet. Cannot fail. */
struct care *care_new(const struct care_config *config);
struct care *care_free(struct care *care); /* after all loops ended; takes NULL, returns NULL */

/* The agent of the call simulator: name, company, personality, voice. Never stored. */
const struct agent *care_demo_agent(void);

/* Spoken text. */
struct care_speech {
    struct str audio; /* MP3, in the arena; empty: it could not be spoken */
    struct str url;   /* "/audio/<name>" when it is kept; else empty */
};
enum care_channel {
    CARE_REST, /* the last 5 messages go to the model; audio is kept and told by its address */
    CARE_LIVE, /* the whole history; audio goes along */
};

struct care_start {
    enum care_channel channel;
    struct str owner;
    const struct agent *agent; /* NULL: the call simulator. id empty: one that only the client knows (agentInfo) */
    struct str title;          /* the user's own; empty: the documented one, until the model finds a better */
    bool speak;                /* the welcome */
};
struct care_view {
    struct conversation conversation; /* messages: as asked for, all roles, oldest first */
    struct analytics figures;         /* up to date */
    bool simulator, high_priority;
    struct str company; /* detected; empty: none */
    struct str custom;  /* JSON object, or empty */
};
struct care_started {
    struct care_view view;  /* with its messages */
    struct message welcome; /* the last of them */
    struct care_speech speech;
};
int care_start(struct care *care, const struct care_start *start, struct arena *arena, struct care_started *out,
               struct err *e);

struct care_say {
    enum care_channel channel;
    struct str owner, conversation_id, text;
    struct str client_id;      /* the client's id for this message; empty: none */
    struct str audio_url;      /* of the recording that `text` was spoken in; empty: none */
    const struct agent *agent; /* used when the conversation's own is gone or was never stored; may be NULL */
    bool speak;
    const void *origin; /* see struct room_event */
};
struct care_said {
    struct care_view view; /* without messages, after all steps */
    struct message user, reply;
    struct care_speech speech;
    struct turn_result turn;
    bool raised;    /* this message made the conversation urgent: ROOM_PRIORITY was sent, too */
    bool duplicate; /* client_id was seen before */
};
/* Runs a turn and waits for it; the turn goes on to its last step when the caller is cancelled meanwhile.
 * CONVERSATION_NOT_FOUND also for another owner's; INVALID_REQUEST; TOO_MANY_TURNS; STORE_UNAVAILABLE … A model that
 * fails is no error: the reply is the documented apology, said->turn.status MESSAGE_FAILED. */
int care_say(struct care *care, const struct care_say *say, struct arena *arena, struct care_said *out, struct err *e);

/* A message that is answered by nobody: role "assistant" or "system". */
int care_note(struct care *care, struct str owner, struct str id, const struct message *message, struct arena *arena,
              struct message *out, struct err *e);

/* messages: as conversation_get. `judge`: user messages without a sentiment get one first. */
int care_get(struct care *care, struct str owner, struct str id, int64_t messages, bool judge, struct arena *arena,
             struct care_view *out, struct err *e);
/* Newest creation first, pages of `limit` (0: all) from `cursor` (empty: the newest); *next is the cursor of the
 * following page, empty when there is none. each: as struct conversation_walk. */
struct care_list {
    struct str owner, agent_id; /* agent_id empty: any */
    struct str cursor;
    unsigned limit;
    int64_t messages;
    int (*each)(void *arg, const struct care_view *view, struct err *e);
    void *arg;
};
int care_list(struct care *care, const struct care_list *list, struct arena *arena, struct str *next, struct err *e);

/* Members with .p NULL stay as they are. status: active, completed, archived; custom: a JSON object that replaces. */
struct care_change {
    struct str owner, id, title, status, custom;
};
int care_update(struct care *care, const struct care_change *change, struct arena *arena, struct care_view *out,
                struct err *e);
/* A title by the model, or the documented one, also in place of the user's own. */
int care_retitle(struct care *care, struct str owner, struct str id, struct arena *arena, struct care_view *out,
                 struct err *e);
/* Retitles (unless the title is the user's own), judges, completes. With all messages. */
int care_end(struct care *care, struct str owner, struct str id, struct arena *arena, struct care_view *out,
             struct err *e);
/* With its messages and audio. */
int care_delete(struct care *care, struct str owner, struct str id, struct err *e);

struct care_stats {
    int64_t calls, messages, duration_total; /* seconds */
    int64_t last_us;                         /* 0: none */
    int64_t sentiments[SENTIMENTS];          /* conversations by sentiment */
    struct str companies[16];                /* without repetition */
    size_t ncompanies;
};
int care_stats(struct care *care, struct str owner, struct arena *arena, struct care_stats *out, struct err *e);
/* Judges every user message of every conversation of the owner again, and recounts. */
int care_reanalyse(struct care *care, struct str owner, int64_t *total, int64_t *updated, struct err *e);

/* A real turn of an agent that is not stored: *reply in the arena. */
int care_try(struct care *care, const struct agent *agent, struct str text, struct arena *arena, struct str *reply,
             struct err *e);

#endif
