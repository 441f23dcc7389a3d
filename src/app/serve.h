/* `parley serve`: puts the parts together, runs them, and takes them down in order. */
#ifndef APP_SERVE_H
#define APP_SERVE_H

#include "config/config.h"

/* Runs until SIGTERM or SIGINT. cfg is taken over. The exit status. */
int serve(struct config *cfg, const struct config_source *source);

#endif
