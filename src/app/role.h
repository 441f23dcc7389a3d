/* `parley role`: makes a user an admin, or no admin any more. */
#ifndef APP_ROLE_H
#define APP_ROLE_H

#include "config/config.h"

/* Whether there is such a role: admin, user. */
bool role_is(const char *role);
/* Gives the user with this e-mail address the role, in the configured store, and says what it did. A server that runs
 * on that store heeds it from the user's next request on. 0 also when it is the user's role already, else 1. Takes cfg
 * over. */
int role_set(struct config *cfg, const char *email, const char *role);

#endif
