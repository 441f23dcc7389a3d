/* The only place that names drivers: it picks them by the configuration. */
#ifndef APP_DRIVERS_H
#define APP_DRIVERS_H

#include "client/upstream.h"
#include "config/config.h"
#include "llm/llm.h"
#include "rtc/livekit.h"
#include "speech/media.h"
#include "speech/speech.h"
#include "store/store.h"

/* Opens the configured store. Blocks. */
int drivers_open_store(const struct config *cfg, struct store **store, struct err *e);
/* The configured model into *llm, NULL when there is none (LLM_PROVIDER=auto without a key, or none). */
int drivers_open_model(const struct config *cfg, struct llm **llm, struct err *e);
/* The embedded responder. */
struct llm *drivers_responder(void);
/* Who speaks and who listens, NULL where nobody does (TTS_PROVIDER=none). media makes their formats. */
int drivers_open_speech(const struct config *cfg, struct media *media, struct tts **tts, struct stt **stt,
                        struct err *e);
/* LiveKit, NULL when it is not configured. */
int drivers_open_livekit(const struct config *cfg, struct livekit **livekit, struct err *e);
/* Limits and time-outs of calls to the service at `url`. */
struct upstream_config drivers_upstream(const struct config *cfg, const char *url);
/* Whether an OpenAI account is configured. */
bool drivers_has_openai(const struct config *cfg);
/* "sqlite", "mongo"; "openai", "azure", "demo", "pool", "none". */
const char *drivers_store_name(const struct config *cfg);

#endif
