#include "client/breaker.h"

/* The only writer of b->state. */
static void enter(struct breaker *b, enum breaker_state next)
{
    if (b->state != next && b->changed)
        b->changed(b, next);
    b->state = next;
}

bool breaker_ready(const struct breaker *b, uint64_t now_ms)
{
    switch (b->state) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPEN:
        return now_ms >= b->until;
    case BREAKER_HALF_OPEN:
        return false;
    }
    return true;
}

bool breaker_admit(struct breaker *b, uint64_t now_ms)
{
    if (!breaker_ready(b, now_ms))
        return false;
    if (b->state == BREAKER_OPEN)
        enter(b, BREAKER_HALF_OPEN);
    return true;
}

void breaker_success(struct breaker *b)
{
    b->failures = 0;
    enter(b, BREAKER_CLOSED);
}

void breaker_failure(struct breaker *b, uint64_t now_ms)
{
    b->failures++;
    if (!b->limit || (b->state == BREAKER_CLOSED && b->failures < b->limit))
        return;
    /* A late failure of a call let through before it opened does not keep it open longer. */
    if (b->state != BREAKER_OPEN)
        b->until = now_ms + b->open_ms;
    enter(b, BREAKER_OPEN);
}

void breaker_abandon(struct breaker *b, uint64_t now_ms)
{
    if (b->state != BREAKER_HALF_OPEN)
        return;
    b->until = now_ms; /* the next call may try at once */
    enter(b, BREAKER_OPEN);
}

unsigned breaker_wait_ms(const struct breaker *b, uint64_t now_ms)
{
    if (breaker_ready(b, now_ms))
        return 0;
    return b->state == BREAKER_OPEN && b->until > now_ms ? (unsigned)(b->until - now_ms) : 1000;
}
