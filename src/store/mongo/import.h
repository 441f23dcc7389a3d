/* Another program's MongoDB database, read document by document. Calls block:
 * for tools, not for serving. */
#ifndef STORE_MONGO_IMPORT_H
#define STORE_MONGO_IMPORT_H

#include "store/store.h"

struct mongo_source;

/* config: url (the source's; its database, or "test" as other drivers take it),
 * ca_file, select_ms. Connects. NOT_CONFIGURED; STORE_UNAVAILABLE with what the
 * driver says. */
int mongo_source_open(const struct store_config *config, struct mongo_source **out, struct err *e);
struct mongo_source *mongo_source_close(struct mongo_source *source); /* takes NULL, returns NULL */

struct mongo_document {
    char id[64];     /* _id when it can be shown, for reports: an ObjectId in hex, or
                        a short name; else "" */
    struct str json; /* relaxed Extended JSON; .p NULL: it cannot be written so
                        (text that is not UTF-8) */
};

/* Every document of the collection, each valid during the call; -1 from `each`
 * ends it. A collection that does not exist is empty. STORE_UNAVAILABLE when it
 * cannot be read to its end. */
typedef int mongo_each(void *arg, const struct mongo_document *doc, struct err *e);
int mongo_source_each(struct mongo_source *source, const char *collection, mongo_each *each, void *arg, struct err *e);

#endif
