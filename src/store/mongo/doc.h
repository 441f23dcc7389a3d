/* BSON documents, written front to back and read into structs. */
#ifndef STORE_MONGO_DOC_H
#define STORE_MONGO_DOC_H

#include "base/arena.h"
#include "store/mongo/libmongoc.h"

#define DOC_DEPTH 8

/* A document being written; [0] is the whole. Strings are copied. In a list, keys are NULL. */
struct doc {
    bson_t at[DOC_DEPTH];
    uint32_t next[DOC_DEPTH]; /* the list's next index */
    bool list[DOC_DEPTH];
    unsigned depth;
};

void doc_begin(struct doc *d);
void doc_end(struct doc *d);
void doc_str(struct doc *d, const char *key, struct str s);
void doc_int(struct doc *d, const char *key, int64_t value);
void doc_int32(struct doc *d, const char *key, int32_t value);
void doc_bool(struct doc *d, const char *key, bool value);
void doc_oid(struct doc *d, const char *key, const bson_oid_t *oid);
void doc_bin(struct doc *d, const char *key, const void *bytes, size_t n);
void doc_put(struct doc *d, const char *key, const struct doc *value);
void doc_open(struct doc *d, const char *key);
void doc_list(struct doc *d, const char *key);
void doc_close(struct doc *d); /* what doc_open or doc_list opened */

/* A struct's members and what they are called in the database. */
enum field_kind {
    FIELD_STR,
    FIELD_STR_IF, /* left out when empty */
    FIELD_INT,
    FIELD_BOOL,
    FIELD_ENUM,
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t at;
    unsigned set; /* the bit that names it in a change */
};

/* All members. */
void doc_fields(struct doc *d, const struct field *fields, size_t n, const void *from);
/* Those named in `set`. */
void doc_changes(struct doc *d, const struct field *fields, size_t n, const void *from, unsigned set);
/* Members the document lacks are zeroed, or "". */
void fields_read(const bson_t *doc, const struct field *fields, size_t n, struct arena *a, void *to);

/* One member; absent or of another type: 0, or false. */
int64_t doc_get_int(const bson_t *doc, const char *key);
bool doc_get_oid(const bson_t *doc, const char *key, bson_oid_t *out);
/* A member that is a document; false when it is none. */
bool doc_get_doc(const bson_t *doc, const char *key, bson_t *out);

#endif
