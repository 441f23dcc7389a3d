/* The configuration in the shapes that the parts take. What a reload replaces stays alive until the end: parts may
 * still read it. */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include "api/api.h"
#include "config/config.h"
#include "server/server.h"

struct running;

struct settings {
    const struct config *cfg;
    const char **origins;
    size_t norigins;
    const char *dialects[8];
    size_t ndialects;
    struct settings *older; /* replaced by a reload, with its configuration */
    struct config *retired;
};

void settings_make(struct settings *s, const struct config *cfg);
void settings_free(struct settings *s);
struct accounts_config settings_accounts(const struct settings *s, const struct running *r);
struct api_config settings_api(const struct settings *s, const struct running *r);
struct server_config settings_server(const struct settings *s, const struct running *r);
/* Takes over fresh and gives the server and the doors what may change while running. */
void settings_reload(struct settings *s, struct running *r, struct config *fresh);

#endif
