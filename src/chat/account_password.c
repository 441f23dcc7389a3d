/* Passwords are hashed on threads of their own, so that many logins at once stall nobody else. */
#include "chat/account_impl.h"

struct hashing {
    struct str password, hash;
    unsigned cost;
    char out[PASSWORD_HASH];
    int result;
    struct err error;
};

static void hash(void *arg)
{
    struct hashing *h = arg;
    h->result = password_hash(h->password, h->cost, h->out, &h->error);
}

static void match(void *arg)
{
    struct hashing *h = arg;
    h->result = password_matches(h->password, h->hash) ? 0 : -1;
}

int account_hash(struct accounts *accounts, struct str password, struct arena *arena, struct str *out, struct err *e)
{
    struct hashing h = {.password = password, .cost = accounts->config.cost};
    if (workers_call(accounts->workers, hash, &h, e) < 0)
        return -1;
    if (h.result < 0) {
        if (e)
            *e = h.error;
        return -1;
    }
    *out = arena_str(arena, str_c(h.out));
    return 0;
}

int account_match(struct accounts *accounts, struct str password, struct str known, struct err *e)
{
    struct hashing h = {.password = password, .hash = known.n ? known : str_c(accounts->dummy)};
    if (workers_call(accounts->workers, match, &h, e) < 0)
        return -1;
    if (h.result < 0 || !known.n)
        return err_set(e, ERR_UNAUTHORIZED, "Invalid credentials");
    return 0;
}
