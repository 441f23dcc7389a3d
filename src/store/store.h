/* What the server remembers: users, their sessions, agents, conversations with their messages, settings, ids of
 * processed device messages, token usage. One contract for every driver (store/sqlite/, store/mongo/); which one it is,
 * only app/ knows.
 *
 * Who calls: a task, which is parked meanwhile; or a thread that runs no loop (start-up, tools), which is blocked.
 * Cancelled before the driver began: -1 with CANCELLED (TIMEOUT past a deadline) and nothing happened. Once it began,
 * the call waits for the outcome and reports that.
 *
 * Durability: a call that changed something and returned 0 survives a crash of the process and of the machine. A call
 * that failed changed nothing.
 *
 * Memory: strings in results live in the arena given (or are the caller's own, where it passed them in); results are
 * untouched on failure; `out` may be NULL where the result is only a number. Strings passed in need to live until the
 * call returns and must be valid UTF-8. A missing string is stored and returned as the empty one.
 *
 * Ids are opaque and chosen by the caller or, when empty, made here (UUID; made ids sort by time,
 * which keeps adding to long conversations cheap: prefer them for messages). Conversation ids are unique in the whole
 * store, message ids within their conversation. Times are microseconds since 1970 (`_us`); 0 means now.
 *
 * Errors of every call: STORE_UNAVAILABLE (disk full or failing, database locked by another program: try later),
 * INTERNAL_ERROR, INVALID_REQUEST (an id or text past its ceiling in base/limits.h, a cursor that is none),
 * CANCELLED, TIMEOUT. Others are named at the call. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"

struct store;
struct store_ops; /* a driver: store/store_driver.h */

struct store_config {
    const char *data_dir; /* folder of an embedded driver; made, for this user only, when missing */
    uint64_t max_bytes;   /* ceiling of the database; 0: none */
    unsigned busy_ms;     /* how long a change waits for another program's lock; 0: 5000 */
    unsigned readers;     /* threads that read; 0: 2 */
    /* Drivers of another server: */
    const char *url;      /* its connection string; holds a password */
    const char *ca_file;  /* PEM, in place of the system's authorities; NULL: those */
    unsigned connections; /* at most; 0: 16 */
    unsigned select_ms;   /* how long to look for the server before a call fails; 0: 2000 */
};

/* Opens, migrates the schema when it is older, and refuses one that is newer than this build, a folder another
 * process has open, and a file that is no database of ours: NOT_CONFIGURED with the reason for the operator. Blocks. */
int store_open(const struct store_ops *driver, const struct store_config *config, struct store **out, struct err *e);
/* Finishes what is queued, then closes. No call may be under way on a task; blocks. Takes NULL, returns NULL. */
struct store *store_close(struct store *st);
const char *store_driver(const struct store *st);
/* Whether the database answered last: for health pages. Any thread. */
bool store_is_up(const struct store *st);

/* Pages. `limit` 0 means 100, more than STORE_PAGE is STORE_PAGE; a page may be shorter than the limit (it ends early
 * past STORE_PAGE_BYTES of content). The last page has an empty `next`; cursors are opaque and live as long as what
 * they point into. */
#define STORE_PAGE       1000
#define STORE_PAGE_BYTES MIB(16)

/* ---- users ---- */

struct user {
    struct str id, email, name, role, password_hash, avatar, meta;
    int64_t created_us, updated_us;
};

enum user_set {
    USER_SET_EMAIL = 1,
    USER_SET_NAME = 2,
    USER_SET_ROLE = 4,
    USER_SET_PASSWORD = 8,
    USER_SET_AVATAR = 16,
    USER_SET_META = 32,
};

struct user_change {
    struct user to;
    unsigned set; /* which members of `to` (whose id says who) */
};

/* E-mail addresses are compared byte for byte: normalise first. CONFLICT: that id or e-mail exists. */
int store_user_create(struct store *st, struct arena *a, const struct user *user, struct user *out, struct err *e);
/* NOT_FOUND. */
int store_user_get(struct store *st, struct arena *a, struct str id, struct user *out, struct err *e);
int store_user_by_email(struct store *st, struct arena *a, struct str email, struct user *out, struct err *e);
/* NOT_FOUND; CONFLICT: the e-mail is another user's. updated_us becomes now unless given. */
int store_user_update(struct store *st, struct arena *a, const struct user_change *change, struct user *out,
                      struct err *e);

/* ---- sessions: what refreshes a user's token ---- */

/* A family of refresh tokens: each use replaces the token, and a token that was replaced ends the family. Only hashes
 * are kept. */
struct session {
    struct str id, user_id;
    struct str token_hash; /* of the token that is good now */
    int64_t created_us, used_us, expires_us;
};

/* Replaces `was` by `token_hash`. */
struct session_rotation {
    struct str id, was, token_hash;
    int64_t now_us, expires_us; /* expires_us becomes the session's */
};

struct session_rotated {
    bool reused;            /* another token is good now, so `was` had been replaced before: the session is gone */
    struct session session; /* as it is now, or was */
};

/* CONFLICT: the id exists. Whether the user exists is not looked at. */
int store_session_create(struct store *st, const struct session *session, struct err *e);
/* In one step, whoever else tries. NOT_FOUND: there is none, or it expired. */
int store_session_rotate(struct store *st, struct arena *a, const struct session_rotation *rotation,
                         struct session_rotated *out, struct err *e);
/* Harmless when there is none. */
int store_session_delete(struct store *st, struct str id, struct err *e);
/* All sessions of the user, but `keep` (empty: none is kept). */
struct session_clear {
    struct str user_id, keep;
};
int store_session_clear(struct store *st, const struct session_clear *clear, int64_t *count, struct err *e);
/* Forgets those that expired before the time. */
int store_session_purge(struct store *st, int64_t before_us, int64_t *count, struct err *e);

/* ---- agents ---- */

struct agent {
    struct str id, owner, name, company, personality, info;
    struct str prompts; /* JSON array of strings */
    struct str meta;    /* JSON object of the optional members */
    int64_t created_us, updated_us;
};

enum agent_set {
    AGENT_SET_NAME = 1,
    AGENT_SET_COMPANY = 2,
    AGENT_SET_PERSONALITY = 4,
    AGENT_SET_INFO = 8,
    AGENT_SET_PROMPTS = 16,
    AGENT_SET_META = 32,
};

struct agent_change {
    struct agent to;
    unsigned set;
};

/* An agent by its id, of one owner only; owner empty: whoever's. */
struct agent_ref {
    struct str owner, id;
};

struct agent_query {
    struct str owner, cursor;
    unsigned limit;
};

struct agent_page {
    struct agent *items;
    size_t n;
    struct str next;
};

/* CONFLICT: the id exists. */
int store_agent_create(struct store *st, struct arena *a, const struct agent *agent, struct agent *out, struct err *e);
/* NOT_FOUND, also for another owner's. */
int store_agent_get(struct store *st, struct arena *a, const struct agent_ref *ref, struct agent *out, struct err *e);
int store_agent_update(struct store *st, struct arena *a, const struct agent_change *change, struct agent *out,
                       struct err *e);
int store_agent_delete(struct store *st, const struct agent_ref *ref, struct err *e);
/* Oldest first. */
int store_agent_list(struct store *st, struct arena *a, const struct agent_query *query, struct agent_page *out,
                     struct err *e);

/* ---- conversations and messages ---- */

enum message_status {
    MESSAGE_COMPLETE,
    MESSAGE_STREAMING,   /* being written by a turn of this process */
    MESSAGE_INTERRUPTED, /* holds what it had when its turn was cut off */
    MESSAGE_FAILED,
};

struct message {
    struct str id, conversation_id, role, content, client_id, meta;
    int64_t seq; /* 1, 2, 3 … within the conversation: the store's */
    int64_t created_us;
    enum message_status status;
};

struct conversation {
    struct str id;
    struct str space; /* which family of clients it belongs to; never mixed in lists */
    struct str owner; /* user id; empty: nobody's */
    struct str agent_id, device_id, title, status;
    struct str meta; /* JSON object, not looked into */
    bool active;
    int64_t created_us, updated_us;
    int64_t message_count;          /* also the seq of the last message: the store's */
    const struct message *messages; /* of conversation_list when asked for; otherwise not touched */
    size_t nmessages;
};

enum conversation_set {
    CONVERSATION_SET_TITLE = 1,
    CONVERSATION_SET_STATUS = 2,
    CONVERSATION_SET_META = 4,
    CONVERSATION_SET_ACTIVE = 8,
    CONVERSATION_SET_AGENT = 16,
    CONVERSATION_SET_DEVICE = 32,
    CONVERSATION_SET_OWNER = 64,
    CONVERSATION_SET_UPDATED = 128, /* forward only: an older time changes nothing */
};

struct conversation_change {
    struct conversation to;
    unsigned set;
};

enum conversation_order { CONVERSATION_BY_UPDATED, CONVERSATION_BY_CREATED }; /* newest first */

#define STORE_ALL INT64_MAX

struct conversation_query {
    struct str space, owner; /* exactly these; owner empty: those without one */
    struct str agent_id;     /* empty: any */
    struct str device_id;    /* empty: any */
    bool only_active;
    enum conversation_order order;
    struct str cursor;
    unsigned limit;
    int64_t messages; /* how many of its last messages to return with each, oldest first; STORE_ALL; 0: none */
};

struct conversation_page {
    struct conversation *items;
    size_t n;
    struct str next;
};

enum append_mode {
    APPEND_EXISTING,  /* CONVERSATION_NOT_FOUND when there is none */
    APPEND_OR_CREATE, /* made from `conversation` when there is none */
    APPEND_NEW,       /* CONFLICT when there is one */
};

/* The one way messages come into being: all of them, in this order, with the conversation if need be, or nothing. */
struct store_append {
    struct conversation conversation; /* id; the rest counts when it is made. With a space, an existing conversation
                                         of another space or owner is CONVERSATION_NOT_FOUND */
    enum append_mode mode;
    const struct message *messages; /* conversation_id and seq are not read */
    size_t n;                       /* at most STORE_APPEND; 0 is fine */
};
#define STORE_APPEND 64

struct store_appended {
    struct conversation conversation; /* as it is now */
    bool created;
    bool duplicate; /* the conversation has a message with messages[0].client_id already: nothing was written, and
                       `messages` are the stored ones from that on, at most as many as were to be added */
    struct message *messages;
    size_t n;
};

/* One turn's beginning: the user's message and the reply to come. */
struct turn_begin {
    struct conversation conversation; /* as in store_append */
    bool create;                      /* when absent; otherwise CONVERSATION_NOT_FOUND */
    struct message user;
    struct message reply; /* is stored empty, MESSAGE_STREAMING, role "assistant" unless given */
};

struct message_ref {
    struct str conversation_id, id;
};

enum message_set { MESSAGE_SET_CONTENT = 1, MESSAGE_SET_STATUS = 2, MESSAGE_SET_META = 4 };

struct message_change {
    struct message to; /* conversation_id and id say which */
    unsigned set;
    int64_t touch_us; /* the conversation's updated_us moves up to it; 0: stays */
};

struct message_query {
    struct str conversation_id;
    int64_t after, before; /* seq, both exclusive; 0: open */
    bool newest;           /* when more than `limit` fit, the last ones instead of the first */
    unsigned limit;
};

/* Always ascending by seq. */
struct message_page {
    struct message *items;
    size_t n;
    bool more; /* the range holds more: after the last one, or with `newest` before the first */
};

/* Makes a conversation, with first messages if any are given: store_append with APPEND_NEW. CONFLICT. */
int store_conversation_create(struct store *st, struct arena *a, const struct store_append *append,
                              struct store_appended *out, struct err *e);
/* CONVERSATION_NOT_FOUND. */
int store_conversation_get(struct store *st, struct arena *a, struct str id, struct conversation *out, struct err *e);
int store_conversation_update(struct store *st, struct arena *a, const struct conversation_change *change,
                              struct conversation *out, struct err *e);
/* With its messages; takes the same time however many they are. */
int store_conversation_delete(struct store *st, struct str id, struct err *e);
/* By creation, a walk over all pages sees everything that was there when it began exactly once. By update, nothing is
 * seen twice. */
int store_conversation_list(struct store *st, struct arena *a, const struct conversation_query *query,
                            struct conversation_page *out, struct err *e);

/* CONVERSATION_NOT_FOUND, CONFLICT (see append_mode; also when a message id exists in the conversation). */
int store_append(struct store *st, struct arena *a, const struct store_append *append, struct store_appended *out,
                 struct err *e);
/* One message into an existing conversation (message->conversation_id). */
int store_message_add(struct store *st, struct arena *a, const struct message *message, struct store_appended *out,
                      struct err *e);
/* out->messages[0] is the user's message, [1] the reply. For a duplicate, n is 1 when no reply follows it. */
int store_turn_begin(struct store *st, struct arena *a, const struct turn_begin *turn, struct store_appended *out,
                     struct err *e);
/* MESSAGE_NOT_FOUND, also when the conversation is gone. */
int store_message_get(struct store *st, struct arena *a, const struct message_ref *ref, struct message *out,
                      struct err *e);
int store_message_update(struct store *st, const struct message_change *change, struct err *e);
/* An unknown conversation has no messages: an empty page. */
int store_message_list(struct store *st, struct arena *a, const struct message_query *query, struct message_page *out,
                       struct err *e);
/* The last n, oldest first. */
int store_message_last(struct store *st, struct arena *a, struct str conversation_id, unsigned n,
                       struct message_page *out, struct err *e);
/* At start: every message still MESSAGE_STREAMING becomes MESSAGE_INTERRUPTED; *count says how many. */
int store_interrupt_streaming(struct store *st, int64_t *count, struct err *e);

/* ---- settings: one value per owner and key ---- */

struct setting {
    struct str owner, key;
    struct str value; /* JSON, not looked into */
    int64_t updated_us;
};

struct setting_ref {
    struct str owner, key;
};

struct setting_page {
    struct setting *items;
    size_t n;
};

int store_setting_put(struct store *st, const struct setting *setting, struct err *e);
/* Keeps the one that is there already: of several that add it at once, one does, and all then read that one's value. */
int store_setting_add(struct store *st, const struct setting *setting, struct err *e);
/* NOT_FOUND. */
int store_setting_get(struct store *st, struct arena *a, const struct setting_ref *ref, struct setting *out,
                      struct err *e);
int store_setting_delete(struct store *st, const struct setting_ref *ref, struct err *e);
/* The owner's first STORE_PAGE settings by key. */
int store_setting_list(struct store *st, struct arena *a, struct str owner, struct setting_page *out, struct err *e);

/* ---- ids of messages already processed (devices deliver at least once) ---- */

struct processed {
    struct str id, device_id;
    int64_t at_us;
};

/* *is_new is 1 for whoever adds the id first, 0 for everybody after. */
int store_processed_add(struct store *st, const struct processed *processed, int64_t *is_new, struct err *e);
/* Forgets those before the time. */
int store_processed_purge(struct store *st, int64_t before_us, int64_t *count, struct err *e);

/* ---- token usage, kept also when its conversation is deleted ---- */

struct usage {
    struct str conversation_id, message_id, model;
    int64_t prompt_tokens, completion_tokens, at_us;
};

struct usage_query {
    struct str conversation_id, model; /* empty: all */
    int64_t from_us, until_us;         /* from <= at < until; 0: open */
};

struct usage_total {
    int64_t turns, prompt_tokens, completion_tokens;
};

int store_usage_add(struct store *st, const struct usage *usage, struct err *e);
int store_usage_total(struct store *st, const struct usage_query *query, struct usage_total *out, struct err *e);

/* ---- the store itself ---- */

struct store_stats {
    int64_t users, agents, conversations, messages, bytes, schema;
};

struct store_report {
    bool ok;
    struct str detail; /* "ok", or the first findings, one per line */
};

int store_stats(struct store *st, struct store_stats *out, struct err *e);
/* Reads everything: for `parley check`, not for serving. */
int store_check(struct store *st, struct arena *a, struct store_report *out, struct err *e);

#endif
