#include "auth/secret.h"

#include "base/macros.h"

#define DISTINCT_MIN 8

/* Values the five documents print or their code falls back to. */
static const char *const samples[] = {"your-secret-key", "your_jwt_secret_here", "your-production-jwt-secret",
                                      "your_secure_token_here"};

static bool contains(struct str text, struct str part)
{
    for (; text.n >= part.n; text = str_from(text, 1))
        if (str_ieq(str_n(text.p, part.n), part))
            return true;
    return false;
}

static size_t distinct_bytes(struct str s)
{
    bool seen[256] = {false};
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        n += !seen[c];
        seen[c] = true;
    }
    return n;
}

const char *jwt_secret_problem(struct str secret)
{
    if (!secret.n)
        return "is not set";
    for (size_t i = 0; i < COUNT(samples); i++)
        if (contains(secret, str_c(samples[i])))
            return "is a sample value of the documents";
    if (secret.n < JWT_SECRET_MIN)
        return "is shorter than 32 bytes";
    if (distinct_bytes(secret) < DISTINCT_MIN)
        return "repeats a few characters";
    return NULL;
}
