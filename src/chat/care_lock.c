/* One conversation's changes, one after the other. */
#include "chat/care_impl.h"

#include "base/mem.h"

#include <stdlib.h>

struct care_lock {
    struct care_loop *at;
    struct waitlist line;
    unsigned users; /* holds it or waits for it */
    bool held;
    struct str id;
    char text[];
};

static struct care_lock *find(struct care_loop *at, struct str id)
{
    struct care_lock *lock = map_get(&at->locks, id);
    if (lock)
        return lock;
    lock = mem_zalloc(sizeof *lock + id.n);
    memcpy(lock->text, id.p, id.n);
    lock->id = str_n(lock->text, id.n);
    lock->at = at;
    waitlist_init(&lock->line);
    map_put(&at->locks, lock->id, lock);
    return lock;
}

static void let_go(struct care_lock *lock)
{
    if (--lock->users)
        return;
    map_remove(&lock->at->locks, lock->id);
    free(lock);
}

struct care_lock *care_lock(struct care *care, struct str id, struct err *e)
{
    struct care_lock *lock = find(&care->loops[loop_index(loop_self())], id);
    lock->users++;
    while (lock->held) {
        if (waitlist_wait(&lock->line, e) < 0) {
            let_go(lock);
            return NULL;
        }
    }
    lock->held = true;
    return lock;
}

void care_unlock(struct care_lock *lock)
{
    if (!lock)
        return;
    lock->held = false;
    waitlist_wake_one(&lock->line);
    let_go(lock);
}
