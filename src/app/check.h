/* `parley check`: is this configuration one that works? */
#ifndef APP_CHECK_H
#define APP_CHECK_H

#include "config/config.h"

/* Prints the settings with secrets masked, then tests store and upstream. 0 when all is well, 1 otherwise. Takes cfg
 * over. */
int check(struct config *cfg);
/* Prints docs/CONFIGURATION.md. */
int check_markdown(void);

#endif
