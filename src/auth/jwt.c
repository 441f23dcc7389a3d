#include "auth/jwt.h"

#include "base/json.h"
#include "base/mem.h"

#include <jwt.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define CLAIMS_MAX KIB(4)
#define TOKEN_MAX  KIB(8) /* libjwt works on the stack, with a few times as much */

/* ---- signing ---- */

static int add_token(jwt_t *jwt, struct str key, const char *claims, struct buf *out, struct err *e)
{
    if (jwt_add_grants_json(jwt, claims) != 0)
        return err_set(e, ERR_INTERNAL_ERROR, "A token's claims are no JSON object");
    if (jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)key.p, (int)key.n) != 0)
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    char *token = jwt_encode_str(jwt);
    if (!token)
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    int result = buf_str_add(out, str_c(token));
    free(token);
    return result < 0 ? err_set(e, ERR_INTERNAL_ERROR, NULL) : 0;
}

int jwt_sign(struct str key, struct str claims, struct buf *out, struct err *e)
{
    jwt_t *jwt;
    if (claims.n > CLAIMS_MAX || !key.n || key.n > CLAIMS_MAX || json_precheck(claims, NULL) < 0)
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    if (jwt_new(&jwt) != 0)
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    char *text = str_dup(claims);
    int result = add_token(jwt, key, text, out, e);
    free(text);
    jwt_free(jwt);
    return result;
}

/* ---- verifying ---- */

struct parts {
    struct str header, claims;
};

static bool is_url_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Base64 with the URL alphabet and no padding (RFC 7515): .p NULL for anything else. */
static struct str decode(struct str part, struct arena *arena)
{
    size_t padded = (part.n + 3) / 4 * 4;
    if (part.n == 0 || part.n % 4 == 1)
        return STR_NONE;
    unsigned char *text = arena_alloc(arena, padded), *bytes = arena_alloc(arena, padded / 4 * 3 + 1);
    for (size_t i = 0; i < padded; i++) {
        char c = i < part.n ? part.p[i] : 0;
        if (i < part.n && !is_url_char(c))
            return STR_NONE;
        text[i] = (unsigned char)(c == '-' ? '+' : c == '_' ? '/' : c ? c : '=');
    }
    if (EVP_DecodeBlock(bytes, text, (int)padded) < 0)
        return STR_NONE;
    size_t n = padded / 4 * 3 - (padded - part.n);
    bytes[n] = 0;
    return str_n(bytes, n);
}

/* Both are JSON that is not nested deeper than we read any: only then libjwt gets to see it. */
static bool take_apart(struct str token, struct arena *arena, struct parts *out)
{
    struct str rest = token, header, claims, signature;
    if (!token.n || token.n > TOKEN_MAX || !str_split(&rest, '.', &header) || !str_split(&rest, '.', &claims) ||
        !str_split(&rest, '.', &signature) || rest.p)
        return false;
    for (size_t i = 0; i < signature.n; i++)
        if (!is_url_char(signature.p[i]))
            return false;
    *out = (struct parts){decode(header, arena), decode(claims, arena)};
    return out->header.p && out->claims.p && json_precheck(out->header, NULL) == 0 &&
           json_precheck(out->claims, NULL) == 0;
}

/* HS256 by its header, and nothing in there that asks for more than we do ("crit", RFC 7515 section 4.1.11). */
static bool is_hs256(struct str header, struct arena *arena)
{
    const cJSON *tree = json_parse(arena, header, NULL);
    return tree && str_eqc(json_str(tree, "alg"), "HS256") && !json_get(tree, "crit");
}

static bool is_signed(struct str key, struct str token, struct arena *arena)
{
    jwt_t *jwt = NULL;
    if (!key.n || jwt_decode(&jwt, arena_cstr(arena, token), (const unsigned char *)key.p, (int)key.n) != 0)
        return false;
    bool pinned = jwt_get_alg(jwt) == JWT_ALG_HS256;
    jwt_free(jwt);
    return pinned;
}

/* NumericDate (RFC 7519 section 2), which may have a fraction. */
static const char *time_problem(const struct jwt_check *check, const cJSON *claims)
{
    const cJSON *exp = json_get(claims, "exp"), *nbf = json_get(claims, "nbf");
    double now = (double)check->now_s, leeway = (double)check->leeway_s;
    if ((exp && !cJSON_IsNumber(exp)) || (nbf && !cJSON_IsNumber(nbf)))
        return "malformed";
    if ((!exp && check->needs_exp) || (exp && now >= exp->valuedouble + leeway))
        return "expired";
    return nbf && now + leeway < nbf->valuedouble ? "early" : NULL;
}

static const char *problem(const struct jwt_check *check, struct str token, struct arena *arena, struct str *claims)
{
    struct parts parts;
    if (!take_apart(token, arena, &parts))
        return "malformed";
    if (!is_hs256(parts.header, arena))
        return "algorithm";
    if (!is_signed(check->key, token, arena))
        return "signature";
    const cJSON *tree = json_parse(arena, parts.claims, NULL);
    if (!cJSON_IsObject(tree))
        return "malformed";
    *claims = parts.claims;
    return time_problem(check, tree);
}

int jwt_verify(const struct jwt_check *check, struct str token, struct arena *arena, struct str *claims,
               const char **why, struct err *e)
{
    struct str found = STR_NONE;
    const char *wrong = problem(check, token, arena, &found);
    if (why)
        *why = wrong;
    if (wrong)
        return err_set(e, ERR_UNAUTHORIZED, NULL);
    *claims = found;
    return 0;
}
