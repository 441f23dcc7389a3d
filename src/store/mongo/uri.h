/* Connection strings of MongoDB. */
#ifndef STORE_MONGO_URI_H
#define STORE_MONGO_URI_H

#include "store/mongo/libmongoc.h"
#include "store/store.h"

/* config's url with ca_file and select_ms put in; a password may be written
 * without percent-encoding. NULL with NOT_CONFIGURED: it is no connection
 * string, or one that would not check whom it talks to. */
mongoc_uri_t *mongo_uri(const struct store_config *config, struct err *e);
/* Whether it is Cosmos DB that answers there. */
bool mongo_uri_is_cosmos(const mongoc_uri_t *uri);

#endif
