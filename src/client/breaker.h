/* Circuit breaker of one upstream on one loop: after so many failures in a row calls are refused for a while, then one
 * may try. Pure: the caller brings the time. */
#ifndef CLIENT_BREAKER_H
#define CLIENT_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state {
    BREAKER_CLOSED,   /* calls go through; failures in a row are counted */
    BREAKER_OPEN,     /* calls are refused until `until` */
    BREAKER_HALF_OPEN /* one call is out trying; the others are refused */
};

struct breaker {
    enum breaker_state state;
    unsigned failures; /* in a row */
    uint64_t until;
    unsigned limit;                                              /* failures that open it; 0: never */
    unsigned open_ms;                                            /* how long it stays open */
    void (*changed)(struct breaker *b, enum breaker_state next); /* told before each change; may be NULL */
};

/* Whether a call made now would be let through; changes nothing. */
bool breaker_ready(const struct breaker *b, uint64_t now_ms);
/* Lets one call through or refuses it. A call let through must end in exactly one of the three below. */
bool breaker_admit(struct breaker *b, uint64_t now_ms);
void breaker_success(struct breaker *b);
void breaker_failure(struct breaker *b, uint64_t now_ms);
/* The call ended without telling anything about the upstream (cancelled). */
void breaker_abandon(struct breaker *b, uint64_t now_ms);
/* How long calls are still refused, at least 1 while they are. */
unsigned breaker_wait_ms(const struct breaker *b, uint64_t now_ms);

#endif
