/* One of Azure Speech's services: where it is, and what every request to it says. */
#ifndef SPEECH_AZURE_SPEECH_SERVICE_H
#define SPEECH_AZURE_SPEECH_SERVICE_H

#include "client/fetch.h"
#include "speech/azure_speech/azure_speech.h"

struct azure_service {
    struct upstream *upstream;
    char *key;
    unsigned silence, total; /* ms: first_byte_timeout and total_timeout of the upstream */
};

/* `kind`: "tts" or "stt"; `url`: instead of the region's, may be unset. 0, or -1 with NOT_CONFIGURED. Free it with
 * azure_service_free. */
int azure_service_make(struct azure_service *s, const struct speech_azure_config *config, const char *kind,
                       const char *url, struct err *e);
void azure_service_free(struct azure_service *s);
/* Sends the body with the headers (at most 3) and the key; as fetch_open. */
struct fetch *azure_service_post(const struct azure_service *s, struct str path, const struct fetch_header *headers,
                                 size_t n, struct str body, struct err *e);

/* The language to listen for: as wanted, or `usual` when that is "" or the same without its region ("en"). */
struct str azure_service_language(struct str wanted, const char *usual);
/* The driver of recognition over REST (stt.c), and what it is connected with. */
struct stt *azure_rest_new(const struct speech_azure_config *config, struct err *e);
const struct azure_service *azure_rest_service(const struct stt *rest);

#endif
