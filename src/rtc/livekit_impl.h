/* Private to rtc/livekit*.c. */
#ifndef RTC_LIVEKIT_IMPL_H
#define RTC_LIVEKIT_IMPL_H

#include "rtc/livekit.h"

struct livekit {
    char *ws_url; /* "wss://host", without a slash at the end */
    char *api_key, *api_secret;
    struct upstream *upstream;
};

/* What a call to the server's own API may do. */
struct livekit_powers {
    bool create, list;
};
/* A short-lived token of our own, for the server's API. */
int livekit_sign_powers(const struct livekit *livekit, struct livekit_powers powers, struct buf *out, struct err *e);

#endif
