#include "auth/password.h"

#include "base/mem.h"
#include "base/rand.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#define BCRYPT_LEN      60 /* "$2b$10$", 22 characters of salt, 31 of the digest */
#define BCRYPT_SETTING  29 /* what of it is no digest */
#define BCRYPT_PASSWORD 72 /* bytes it looks at */
#define BCRYPT_SALT     16
#define COST_MIN        4
#define COST_MAX        16

/* What a password is compared with when there is nothing to compare it with. */
#define NOBODY "$2b$10$cZ1m2gkQm0m6y7uXq7m3OuXcPzY1Yc8f0xG3l5K9nV4bR2tS6wA1e"

/* crypt() of the password's part that counts. What it leaves in memory is erased. */
static bool run(struct str password, const char *setting, char out[PASSWORD_HASH])
{
    char phrase[BCRYPT_PASSWORD + 1] = "";
    struct crypt_data *data = mem_zalloc(sizeof *data); /* 32 KiB: too much for a task's stack */
    if (password.n)
        memcpy(phrase, password.p, password.n < BCRYPT_PASSWORD ? password.n : BCRYPT_PASSWORD);
    const char *hash = crypt_r(phrase, setting, data);
    bool ok = hash && strlen(hash) == BCRYPT_LEN;
    if (ok)
        memcpy(out, hash, BCRYPT_LEN + 1);
    explicit_bzero(phrase, sizeof phrase);
    explicit_bzero(data, sizeof *data);
    free(data);
    return ok;
}

/* "$2b$", the cost and a new salt. */
static int make_setting(unsigned cost, char out[CRYPT_GENSALT_OUTPUT_SIZE], struct err *e)
{
    char salt[BCRYPT_SALT];
    rand_bytes(salt, sizeof salt);
    cost = cost < COST_MIN ? COST_MIN : cost > COST_MAX ? COST_MAX : cost;
    if (!crypt_gensalt_rn("$2b$", cost, salt, sizeof salt, out, CRYPT_GENSALT_OUTPUT_SIZE) ||
        strlen(out) != BCRYPT_SETTING)
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    return 0;
}

int password_hash(struct str password, unsigned cost, char out[PASSWORD_HASH], struct err *e)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (password.n && memchr(password.p, 0, password.n))
        return err_set(e, ERR_INVALID_REQUEST, "The password holds a character that is not allowed");
    if (make_setting(cost, setting, e) < 0)
        return -1;
    return run(password, setting, out) ? 0 : err_set(e, ERR_INTERNAL_ERROR, NULL);
}

int password_dummy(unsigned cost, char out[PASSWORD_HASH], struct err *e)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (make_setting(cost, setting, e) < 0)
        return -1;
    memcpy(out, setting, BCRYPT_SETTING);
    memset(out + BCRYPT_SETTING, '.', BCRYPT_LEN - BCRYPT_SETTING);
    out[BCRYPT_LEN] = 0;
    return 0;
}

static bool is_salt_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '/';
}

/* "$2a$", "$2b$" or "$2y$", a cost that may be asked for, and nothing else in it. */
static bool is_bcrypt(struct str hash)
{
    if (hash.n != BCRYPT_LEN || hash.p[0] != '$' || hash.p[1] != '2' || !strchr("aby", hash.p[2]) || hash.p[3] != '$' ||
        hash.p[6] != '$')
        return false;
    uint64_t cost;
    if (str_u64(str_n(hash.p + 4, 2), &cost) < 0 || cost < COST_MIN || cost > COST_MAX)
        return false;
    for (size_t i = 7; i < hash.n; i++)
        if (!is_salt_char(hash.p[i]))
            return false;
    return true;
}

bool password_matches(struct str password, struct str hash)
{
    char setting[BCRYPT_SETTING + 1], own[PASSWORD_HASH];
    bool real = is_bcrypt(hash);
    memcpy(setting, real ? hash.p : NOBODY, BCRYPT_SETTING);
    setting[BCRYPT_SETTING] = 0;
    setting[2] = 'b'; /* the three mean the same algorithm; under "a", crypt works around an old program's mistake */
    bool computed = run(password, setting, own);
    if (!real || !computed || (password.n && memchr(password.p, 0, password.n)))
        return false;
    bool match = CRYPTO_memcmp(own + BCRYPT_SETTING, hash.p + BCRYPT_SETTING, BCRYPT_LEN - BCRYPT_SETTING) == 0;
    explicit_bzero(own, sizeof own);
    return match;
}
