/* The database's schema, by versions that never change once released: `PRAGMA user_version` says how far a file is. */
#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

#include "store/sqlite/db.h"

#define SCHEMA_APPLICATION 0x7061726c /* "parl": PRAGMA application_id of our files */

/* Brings the file to the newest version, one transaction per version. NOT_CONFIGURED: the file is newer than this
 * build, or is not ours. */
int schema_migrate(struct db *db, struct err *e);
int64_t schema_newest(void);

#endif
