/* The voice turn engine: a spoken conversation over any speech-to-text, model and text-to-speech drivers. It listens,
 * knows when it is asked, thinks, speaks sentence by sentence, and lets itself be interrupted. What it does is what
 * OpenAI's realtime sessions do (https://platform.openai.com/docs/guides/realtime); its doors turn the calls and events
 * below into that protocol's JSON. Nothing is stored: a session's items live and end with it.
 *
 * A session belongs to one loop. Calls come from that loop, never park, and never call `event` from inside: events come
 * on the loop, outside of any task, in the order in which things happened. */
#ifndef CHAT_VOICE_H
#define CHAT_VOICE_H

#include "chat/chat.h"
#include "speech/clean.h"
#include "speech/speech.h"

struct voice;

/* What the operator decides: one for all sessions. */
struct voice_policy {
    struct tts *tts;                     /* NULL: replies are text */
    struct stt *stt;                     /* NULL: what is heard fails, as an event */
    unsigned silence_ms, max_silence_ms; /* end-pointing where the client says nothing else */
    unsigned max_utterance_ms;           /* 0: 60000 */
    bool interrupt_speaking;             /* speech stops a reply that is heard … */
    bool interrupt_thinking;             /* … and one that is not heard yet */
    unsigned interrupt_min_ms;           /* speech without words for so long is an interruption */
    bool resume;                         /* after less than that, the reply goes on from the sentence it was in */
    unsigned stall_timeout_ms;           /* a reply that makes neither text nor audio for so long fails */
    unsigned max_items;                  /* of a conversation: the oldest are forgotten; 0: 400 */
    enum clean_strength clean;           /* of what is heard, where the client says nothing else */
};

enum voice_detection { VOICE_DETECT_NONE, VOICE_DETECT_ENERGY, VOICE_DETECT_SEMANTIC };

/* What the client decides (session.update). Strings are copied. */
struct voice_settings {
    struct str model, instructions; /* "": the default's */
    bool audio;                     /* replies are spoken; otherwise text only */
    struct str voice;
    double speed;
    double temperature;   /* negative: not sent */
    int max_tokens;       /* of a reply; 0: no limit */
    unsigned input_rate;  /* of what voice_append gets; 24000 unless said otherwise in voice_new; never changes */
    unsigned output_rate; /* of VOICE_AUDIO */
    struct str language;  /* of what is heard */
    struct str prompt;    /* for the recognizer */
    bool transcripts;     /* VOICE_HEARD_* deltas are wanted (completed ones always come) */
    enum voice_detection detection;
    double threshold;
    enum clean_strength clean; /* of what the recognizer gets */
    unsigned prefix_ms;
    unsigned silence_ms; /* 0: the policy's. SEMANTIC waits between it and max_silence_ms, ENERGY exactly it when the
                          * client chose it, else between the policy's two */
    unsigned max_silence_ms;
    unsigned idle_timeout_ms; /* after a reply, without speech: VOICE_IDLE and a reply; 0: never */
    bool create_response;     /* an utterance is answered without being asked to */
    bool interrupt_response;  /* an utterance interrupts, as the policy says */
};
#define VOICE_DEFAULTS                                                                                                 \
    ((struct voice_settings){.audio = true,                                                                            \
                             .temperature = -1,                                                                        \
                             .input_rate = 24000,                                                                      \
                             .output_rate = 24000,                                                                     \
                             .transcripts = true,                                                                      \
                             .detection = VOICE_DETECT_ENERGY,                                                         \
                             .threshold = 0.5,                                                                         \
                             .prefix_ms = 300,                                                                         \
                             .create_response = true,                                                                  \
                             .interrupt_response = true})

#define VOICE_ID 40 /* of items, responses and sessions: "item_…", with the NUL */

enum voice_item_kind { VOICE_ITEM_USER, VOICE_ITEM_ASSISTANT, VOICE_ITEM_SYSTEM };
enum voice_item_status { VOICE_IN_PROGRESS, VOICE_COMPLETED, VOICE_INCOMPLETE };

/* Valid during the event or call that shows it. */
struct voice_item {
    char id[VOICE_ID];
    enum voice_item_kind kind;
    enum voice_item_status status;
    bool audio;       /* it was, or will be, heard or spoken: `text` is its transcript (empty while not known) */
    bool transcribed; /* the transcript is there */
    struct str text;
};

enum voice_outcome {
    VOICE_RESPONSE_RUNNING,
    VOICE_RESPONSE_COMPLETED,
    VOICE_RESPONSE_CANCELLED,
    VOICE_RESPONSE_FAILED,
    VOICE_RESPONSE_INCOMPLETE
};

struct voice_response {
    char id[VOICE_ID];
    enum voice_outcome outcome;
    const char *reason;      /* "turn_detected" "client_cancelled" "max_output_tokens" "content_filter"; NULL: none */
    const struct err *error; /* VOICE_RESPONSE_FAILED; its text may reach clients */
    bool audio;              /* of its modalities */
    struct str voice;
    bool in_conversation;          /* false: "conversation":"none" */
    struct str metadata;           /* the client's JSON, returned as it came; "" for none */
    const struct voice_item *item; /* what it made; NULL before the first item was added */
    struct llm_usage usage;        /* -1 where not known */
};

enum voice_event_type {
    VOICE_SPEECH_STARTED, /* item, at_ms */
    VOICE_SPEECH_STOPPED, /* item, at_ms */
    VOICE_IDLE,           /* item, from_ms, at_ms: nobody spoke for idle_timeout_ms */
    VOICE_COMMITTED,      /* item, previous */
    VOICE_CLEARED,
    VOICE_ITEM_ADDED,     /* item, previous */
    VOICE_ITEM_DONE,      /* item, previous */
    VOICE_ITEM_DELETED,   /* item */
    VOICE_ITEM_TRUNCATED, /* item, at_ms. Also unasked: the client had a reply in full and was interrupted playing it */
    VOICE_TRANSCRIPT_DELTA, /* item, text: to append. Sent only when a partial continues the one before; also before the
                             * item is committed */
    VOICE_TRANSCRIPT_DONE,  /* item, text: the whole; at_ms: length of the audio */
    VOICE_TRANSCRIPT_FAILED, /* item, error */
    VOICE_RESPONSE_CREATED,  /* response */
    VOICE_OUTPUT_ADDED,  /* response, item: response.output_item.added, then VOICE_ITEM_ADDED, and the content part */
    VOICE_TEXT,          /* response, item, text: to append; the reply, or the transcript of its audio */
    VOICE_AUDIO,         /* response, item, audio: PCM to append */
    VOICE_OUTPUT_DONE,   /* response, item: its text, audio and part are over; VOICE_ITEM_DONE follows */
    VOICE_RESPONSE_DONE, /* response */
    VOICE_ENDED,         /* the session reached its end (never after voice_close): error */
};

struct voice_event {
    enum voice_event_type type;
    const struct voice_item *item;
    const char *previous; /* id of the item before; NULL: it is the first */
    const struct voice_response *response;
    struct str text;
    struct str audio;
    uint64_t at_ms, from_ms;
    const struct err *error;
};

struct voice_ops {
    void (*event)(void *arg, const struct voice_event *event);
};

/* settings NULL: VOICE_DEFAULTS. policy, chat and ops outlive the session. The model is the configured one, or the
 * embedded responder where none is. */
struct voice *voice_new(struct chat *chat, const struct voice_policy *policy, const struct voice_settings *settings,
                        const struct voice_ops *ops, void *arg);
const struct voice_settings *voice_settings(const struct voice *v);
/* From now on; a response under way keeps its own. -1 INVALID_REQUEST: the rates changed, or the voice after it was
 * heard. */
int voice_configure(struct voice *v, const struct voice_settings *settings, struct err *e);

/* Audio of the user, PCM at input_rate. -1: OVERLOADED. */
int voice_append(struct voice *v, struct str pcm, struct err *e);
/* -1 INVALID_REQUEST when less than 100 ms are there: *found_ms says how much. */
int voice_commit(struct voice *v, uint64_t *found_ms, struct err *e);
void voice_clear(struct voice *v);

/* A text item of the client's. id "": one is made. after: the id of the item before it, "root", or "": at the end. The
 * item comes back as VOICE_ITEM_ADDED and _DONE. -1 INVALID_REQUEST (id taken, unknown `after`, too long). */
struct voice_new_item {
    struct str id, after;
    enum voice_item_kind kind;
    struct str text;
};
int voice_add_item(struct voice *v, const struct voice_new_item *item, struct err *e);
/* An item whose only content is audio of the user: it is recognized like a committed utterance, without an answer. */
int voice_add_audio(struct voice *v, struct str id, struct str after, struct str pcm, struct err *e);
/* NULL: there is none. Valid until the next call. */
const struct voice_item *voice_find(const struct voice *v, struct str id);
int voice_delete(struct voice *v, struct str id, struct err *e);
/* The client heard only so much of an assistant's item and plays no more of it: its text is cut to what fits. */
int voice_truncate(struct voice *v, struct str id, uint64_t audio_end_ms, struct err *e);

struct voice_ask {
    bool in_conversation;    /* the reply becomes an item of the conversation */
    const bool *audio;       /* NULL: as the settings say */
    struct str instructions; /* "": the session's */
    struct str voice;
    int max_tokens;                     /* 0: the session's */
    struct str metadata;                /* JSON */
    const struct voice_new_item *input; /* what the model sees in place of the conversation; NULL: the conversation */
    size_t ninput;
};
/* Begins a response. It waits until recognition of what was committed before is over. -1 INVALID_REQUEST with
 * `running` filled, when one is under way in the conversation already. */
int voice_respond(struct voice *v, const struct voice_ask *ask, char running[VOICE_ID], struct err *e);
/* id "": the one under way. -1 NOT_FOUND when there is none. */
int voice_cancel(struct voice *v, struct str id, struct err *e);
/* The client takes no more for the moment: no VOICE_AUDIO and VOICE_TEXT come until it does. */
void voice_pause(struct voice *v, bool pause);

/* Ends everything, in any state, also from inside `event`; no event comes after this call. Tasks of its replies end
 * soon after: chat and policy stay until the loop has none. Takes NULL, returns NULL. */
struct voice *voice_close(struct voice *v);

#endif
