/* The driver on MongoDB and Azure Cosmos DB for MongoDB, by libmongoc. */
#ifndef STORE_MONGO_MONGO_STORE_H
#define STORE_MONGO_MONGO_STORE_H

#include "store/store_driver.h"

extern const struct store_ops store_mongo;

#endif
