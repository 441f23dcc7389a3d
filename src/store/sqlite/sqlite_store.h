/* The embedded store: one SQLite file in config->data_dir, for this process alone. docs/design/store.md says how. */
#ifndef STORE_SQLITE_SQLITE_STORE_H
#define STORE_SQLITE_SQLITE_STORE_H

#include "store/store_driver.h"

extern const struct store_ops store_sqlite;

#endif
