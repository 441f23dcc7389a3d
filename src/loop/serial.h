/* Mail that is handled one piece after the other in a task which exists only while there is some: how a connection's
 * messages keep their order although handling them waits. */
#ifndef LOOP_SERIAL_H
#define LOOP_SERIAL_H

#include "base/arena.h"
#include "base/str.h"
#include "loop/task.h"

struct serial;

/* Whose mail it is. All callbacks come on the loop's thread. */
struct serial_ops {
    const char *name;           /* of the task and the arenas, a literal */
    void (*ref)(void *owner);   /* the task holds one reference to the owner */
    void (*unref)(void *owner); /* may free it */
    /* Too much waits (SERIAL_WAITING messages or SERIAL_BYTES), or no longer: take no more input meanwhile. May be
     * NULL. */
    void (*pause)(void *owner, bool pause);
    const char *(*log_id)(void *owner); /* log_request_id meanwhile; may be NULL */
};
#define SERIAL_WAITING 64
#define SERIAL_BYTES   MIB(4)

/* Hands over a copy of `data` (a NUL behind it) and calls handle(owner, arena, data) in the task, in order, one at a
 * time; the arena dies when handle returns. *slot is the owner's, NULL while nothing waits; it lives as long as the
 * owner, or is stopped before it goes. false: the loop has no room for a task. */
bool serial_post(struct serial **slot, const struct serial_ops *ops, void *owner, struct str data,
                 void (*handle)(void *owner, struct arena *arena, struct str data));
/* The same of data in parts, put together. */
bool serial_post_parts(struct serial **slot, const struct serial_ops *ops, void *owner, const struct str *parts,
                       size_t n, void (*handle)(void *owner, struct arena *arena, struct str data));
/* Drops what waits, cancels the handler that runs (unless it shields itself), and takes a pause back. The slot is free
 * at once: what is posted afterwards does not wait for that handler's end. Harmless on an empty slot. */
void serial_stop(struct serial **slot);

#endif
