/* Whose tokens were ended a short while ago, for doors that look at a token alone (account_is_token) and cannot ask
 * the store: what this process saw within the life of a token. */
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "chat/account_impl.h"

#include <pthread.h>
#include <stdlib.h>

#define USERS_MAX 65536 /* the oldest goes first */

struct ended {
    struct list order;
    int64_t version; /* of the tokens that are good */
    uint64_t at_ms;
    size_t nid;
    char id[];
};

struct account_ended {
    pthread_mutex_t lock;
    struct map users;
    struct list order; /* oldest first */
};

struct account_ended *account_ended_new(void)
{
    struct account_ended *all = mem_zalloc(sizeof *all);
    pthread_mutex_init(&all->lock, NULL);
    list_init(&all->order);
    return all;
}

static void forget(struct account_ended *all, struct ended *one)
{
    map_remove(&all->users, str_n(one->id, one->nid));
    list_remove(&one->order);
    free(one);
}

struct account_ended *account_ended_free(struct account_ended *all)
{
    if (!all)
        return NULL;
    while (!list_empty(&all->order))
        forget(all, container_of(all->order.next, struct ended, order));
    map_free(&all->users);
    pthread_mutex_destroy(&all->lock);
    free(all);
    return NULL;
}

static void forget_old(struct account_ended *all, uint64_t now_ms, uint64_t life_ms)
{
    while (!list_empty(&all->order)) {
        struct ended *oldest = container_of(all->order.next, struct ended, order);
        if (now_ms - oldest->at_ms <= life_ms && all->users.count < USERS_MAX)
            return;
        forget(all, oldest);
    }
}

void account_ended_add(struct account_ended *all, struct str user_id, int64_t version, uint64_t life_ms)
{
    struct ended *one = mem_zalloc(sizeof *one + user_id.n);
    memcpy(one->id, user_id.p, user_id.n);
    one->nid = user_id.n;
    one->version = version;
    pthread_mutex_lock(&all->lock);
    one->at_ms = clock_mono_ms();
    struct ended *before = map_get(&all->users, user_id);
    if (before)
        forget(all, before);
    forget_old(all, one->at_ms, life_ms);
    list_push_back(&all->order, &one->order);
    map_put(&all->users, str_n(one->id, one->nid), one);
    pthread_mutex_unlock(&all->lock);
}

bool account_ended_has(struct account_ended *all, struct str user_id, int64_t version)
{
    pthread_mutex_lock(&all->lock);
    const struct ended *one = map_get(&all->users, user_id);
    bool ended = one && one->version != version;
    pthread_mutex_unlock(&all->lock);
    return ended;
}
