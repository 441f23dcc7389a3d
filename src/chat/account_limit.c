/* How often one may try to come in: per account and per address, whether the account exists or not. */
#include "base/clock.h"
#include "base/macros.h"
#include "base/tally.h"
#include "chat/account_impl.h"

#include <arpa/inet.h>
#include <openssl/evp.h>

#define KEYS 65536 /* accounts, and addresses, remembered at a time */

void account_limits_open(struct accounts *accounts)
{
    accounts->by_email = tally_new(KEYS);
    accounts->by_address = tally_new(KEYS);
    accounts_limit(accounts, accounts->config.login_max, accounts->config.login_window_ms);
}

void account_limits_close(struct accounts *accounts)
{
    tally_free(accounts->by_email);
    tally_free(accounts->by_address);
}

void accounts_limit(struct accounts *accounts, uint64_t login_max, uint64_t login_window_ms)
{
    atomic_store(&accounts->login_max, login_max);
    atomic_store(&accounts->login_window_ms, MAX(login_window_ms, (uint64_t)1));
}

static void digest_key(unsigned char key[TALLY_KEY], struct str text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (EVP_Digest(text.n ? text.p : "", text.n, digest, &n, EVP_sha256(), NULL) != 1 || n < TALLY_KEY)
        die("SHA-256 is not available");
    memcpy(key, digest, TALLY_KEY);
}

static void address_key(unsigned char key[TALLY_KEY], struct str address)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    str_copy(text, sizeof text, address);
    if (inet_pton(AF_INET6, text, &v6) == 1)
        tally_address(key, &v6);
    else
        digest_key(key, address); /* IPv4 has one spelling */
}

static int take(struct tally *tally, const unsigned char key[TALLY_KEY], struct tally_rule rule, struct err *e)
{
    struct tally_result result = tally_take(tally, key, rule, clock_mono_ms());
    if (result.allowed)
        return 0;
    err_set(e, ERR_RATE_LIMIT_EXCEEDED, "Too many attempts. Please try again later.");
    if (e)
        e->retry_after_ms = (int)MIN(result.left_ms, (uint64_t)INT32_MAX);
    return -1;
}

int account_take_try(struct accounts *accounts, struct str email, struct str address, struct err *e)
{
    unsigned char key[TALLY_KEY];
    struct tally_rule rule = {atomic_load(&accounts->login_max), atomic_load(&accounts->login_window_ms)};
    if (!rule.limit)
        return 0;
    if (address.n) {
        address_key(key, address);
        if (take(accounts->by_address, key, rule, e) < 0)
            return -1;
    }
    if (!email.n)
        return 0;
    digest_key(key, email);
    return take(accounts->by_email, key, rule, e);
}
