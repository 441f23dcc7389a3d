/* Private to app/import*.c. */
#ifndef APP_IMPORT_IMPL_H
#define APP_IMPORT_IMPL_H

#include "base/json.h"
#include "base/rand.h"
#include "chat/care.h"
#include "chat/intent.h"
#include "store/store.h"

enum import_kind { IMPORT_USERS, IMPORT_AGENTS, IMPORT_CONVERSATIONS, IMPORT_MESSAGES, IMPORT_KINDS };

/* What became of a document. */
enum import_outcome {
    IMPORT_BROUGHT,
    IMPORT_THERE,
    IMPORT_REFUSED /* *e says why */,
    IMPORT_FAILED /* nothing goes on */
};

struct import_counts {
    size_t read, brought, there, refused;
};

struct import {
    struct store *store;
    struct import_counts counts[IMPORT_KINDS];
    char owner[OBJECT_ID_LEN + 1]; /* a user that is known to be there */
};

/* One document, as Extended JSON's tree. */
enum import_outcome import_user(struct import *im, const cJSON *doc, struct arena *arena, struct err *e);
enum import_outcome import_agent(struct import *im, const cJSON *doc, struct arena *arena, struct err *e);
enum import_outcome import_conversation(struct import *im, const cJSON *doc, struct arena *arena, struct err *e);

/* Of an error of the store: one document's, or everybody's. */
enum import_outcome import_outcome_of(const struct err *e);
/* Names on stderr what is not brought over. `at` negative: the whole document.
 */
void import_report(const char *kind, const char *id, long at, const char *why);

/* ---- Extended JSON: import_read.c ---- */

/* An ObjectId, or the same as text: 24 lower-case hex digits; STR_NONE for
 * anything else. */
struct str import_id(const cJSON *value, struct arena *arena);
/* A date, ISO text or milliseconds, as microseconds; the fallback when it is
 * none. */
int64_t import_time(const cJSON *value, int64_t fallback);
/* When an ObjectId was made. */
int64_t import_id_time(struct str id);
double import_number(const cJSON *value, double fallback);
/* A member's text; "" when it has none. */
struct str import_text(const cJSON *object, const char *key);
/* The messages of a conversation in their order, those left out counted and
 * named. */
struct import_messages {
    struct message *items;
    size_t n;
};
int import_messages_read(struct import *im, const cJSON *doc, struct str id, int64_t created_us, struct arena *arena,
                         struct import_messages *out, struct err *e);

#endif
