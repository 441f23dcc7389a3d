/* `parley import mongo`: brings over what the Node.js back end of customer care
 * kept in MongoDB. */
#ifndef APP_IMPORT_H
#define APP_IMPORT_H

#include "config/config.h"

/* Reads users, agents and conversations of the database `from` (NULL: the
 * configured address of the store) into the configured store. What is there
 * already is left alone: it can be run again, also after it was cut short.
 * Reports counts, and each document that cannot be brought over. 0 when it came
 * to the end, else 1. Takes cfg over. */
int import_mongo(struct config *cfg, const char *from);
/* Takes "--from URI" (or "--from=URI") out of the arguments; the number that is
 * left, -1 when the URI is missing. */
int import_options(int argc, char **argv, const char **from);

#endif
