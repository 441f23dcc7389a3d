/* The only place that names drivers: it picks them by the configuration. */
#ifndef APP_DRIVERS_H
#define APP_DRIVERS_H

#include "config/config.h"
#include "llm/llm.h"
#include "store/store.h"

/* Opens the configured store. Blocks. */
int drivers_open_store(const struct config *cfg, struct store **store, struct err *e);
/* The configured model into *llm, NULL when there is none (LLM_PROVIDER=auto without a key, or none). */
int drivers_open_model(const struct config *cfg, struct llm **llm, struct err *e);
/* The embedded responder. */
struct llm *drivers_responder(void);
/* "sqlite"; "openai", "azure", "demo", "pool", "none". */
const char *drivers_store_name(const struct config *cfg);

#endif
