#include "auth/password.h"

int password_hash(struct str password, unsigned cost, char out[PASSWORD_HASH], struct err *e)
{
    (void)password, (void)cost, (void)out;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

bool password_matches(struct str password, struct str hash)
{
    (void)password, (void)hash;
    return false;
}
