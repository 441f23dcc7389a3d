/* Tokens of users: those they show (JWT) and those that get them a new one (sessions). */
#include "auth/jwt.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "chat/account_impl.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define SECRET_LEN    32 /* bytes of a refresh token's secret, and of a key made here */
#define TOKEN_MAX     KIB(8)
#define VERSION       "tokenVersion" /* in user.meta */
#define PURGE_EVERY   (3600 * (int64_t)1000000)
#define SETTING_OWNER "server"
#define SETTING_KEY   "jwt_secret"

static int invalid(struct err *e)
{
    return err_set(e, ERR_UNAUTHORIZED, "Invalid token");
}

/* ---- the key ---- */

/* Empty while it is not known. */
static struct str key_of(struct accounts *accounts)
{
    struct str given = str_c(accounts->config.jwt_secret);
    return given.n ? given : str_c(atomic_load_explicit(&accounts->own_key, memory_order_acquire));
}

static int keep_new_key(struct accounts *accounts, struct err *e)
{
    unsigned char bytes[SECRET_LEN];
    char value[2 * SECRET_LEN + 3] = "\"";
    rand_bytes(bytes, sizeof bytes);
    hex_encode(value + 1, bytes, sizeof bytes);
    value[sizeof value - 2] = '"';
    struct setting setting = {
        .owner = STR(SETTING_OWNER), .key = STR(SETTING_KEY), .value = str_n(value, sizeof value - 1)};
    return store_setting_add(accounts->config.store, &setting, e);
}

static int read_key(struct accounts *accounts, struct arena *arena, struct err *e)
{
    struct setting found;
    struct setting_ref ref = {STR(SETTING_OWNER), STR(SETTING_KEY)};
    if (store_setting_get(accounts->config.store, arena, &ref, &found, e) < 0)
        return -1;
    if (found.value.n < 2 * SECRET_LEN)
        return err_set(e, ERR_NOT_CONFIGURED, "The key of users' tokens kept in the store is broken");
    char *own = str_dup(found.value), *none = NULL;
    if (!atomic_compare_exchange_strong(&accounts->own_key, &none, own)) /* another task read it meanwhile */
        free(own);
    return 0;
}

int account_need_key(struct accounts *accounts, struct err *e)
{
    struct err why;
    if (key_of(accounts).n)
        return 0;
    struct arena *arena = arena_new("account_key");
    int result = read_key(accounts, arena, &why);
    if (result < 0 && why.code == ERR_NOT_FOUND) {
        result = keep_new_key(accounts, &why);
        if (result == 0)
            result = read_key(accounts, arena, &why); /* another process may have been first */
    }
    if (result < 0 && e)
        *e = why;
    arena_free(arena);
    return result;
}

/* ---- versions: a new password makes every token of the earlier ones invalid ---- */

/* JavaScript's integers are exact up to here. */
#define VERSION_MAX 9007199254740991.0

static int64_t version_in(struct str object, struct arena *arena, const char *key)
{
    const cJSON *tree = object.n ? json_parse(arena, object, NULL) : NULL;
    double version = tree ? json_num(tree, key, 0) : 0;
    return version >= 0 && version <= VERSION_MAX ? (int64_t)version : 0;
}

int64_t account_version(const struct user *user, struct arena *arena)
{
    return version_in(user->meta, arena, VERSION);
}

struct str account_next_version(const struct user *user, struct arena *arena)
{
    /* A time, not a count: two changes at once then do not end at the same version. */
    int64_t version = MAX(clock_wall_us(), account_version(user, arena) + 1);
    const cJSON *tree = user->meta.n ? json_parse(arena, user->meta, NULL) : NULL;
    struct buf *out = arena_zalloc(arena, sizeof *out);
    buf_init(out, SIZE_MAX / 2);
    struct jw w = jw_begin(out);
    jw_obj(&w);
    if (tree && cJSON_IsObject(tree))
        for (const cJSON *member = tree->child; member; member = member->next)
            if (strcmp(member->string, VERSION) != 0) {
                jw_str(&w, str_c(member->string));
                (void)buf_byte(out, ':');
                w.comma = false;
                jw_tree(&w, member);
            }
    jw_kint(&w, VERSION, version);
    jw_end_obj(&w);
    struct str meta = arena_str(arena, buf_str(out));
    buf_free(out);
    return meta;
}

/* ---- tokens ---- */

int account_sign(struct accounts *accounts, struct arena *arena, const struct user *user, struct str *out,
                 struct err *e)
{
    int64_t now_s = clock_wall_ms() / 1000, version = account_version(user, arena);
    if (account_need_key(accounts, e) < 0)
        return -1;
    struct buf claims = BUF_INIT(KIB(1)), token = BUF_INIT(TOKEN_MAX);
    struct jw w = jw_begin(&claims);
    jw_obj(&w);
    jw_kstr(&w, "userId", user->id);
    jw_kint(&w, "iat", now_s);
    jw_kint(&w, "exp", now_s + (int64_t)(accounts->config.token_ms / 1000));
    if (version)
        jw_kint(&w, "v", version);
    jw_end_obj(&w);
    int result =
        jw_ok(&w) ? jwt_sign(key_of(accounts), buf_str(&claims), &token, e) : err_set(e, ERR_INTERNAL_ERROR, NULL);
    if (result == 0)
        *out = arena_str(arena, buf_str(&token));
    buf_free(&claims);
    buf_free(&token);
    return result;
}

static int verify(struct accounts *accounts, struct str token, struct arena *arena, struct str *claims)
{
    const char *why = NULL;
    struct jwt_check check = {.key = key_of(accounts), .now_s = clock_wall_ms() / 1000, .needs_exp = true};
    int result = jwt_verify(&check, token, arena, claims, &why, NULL);
    if (result < 0)
        log_debug("account", "token_refused", F_C("why", why));
    return result;
}

bool account_is_token(struct accounts *accounts, struct str token)
{
    struct str claims;
    struct arena *arena = arena_new("account_is_token");
    bool is = verify(accounts, token, arena, &claims) == 0;
    if (is) {
        struct str id = json_str(json_parse(arena, claims, NULL), "userId");
        is = id.n && !account_ended_has(accounts->ended, id, version_in(claims, arena, "v"));
    }
    arena_free(arena);
    return is;
}

/* As account_of_token; NOT_FOUND when only the user is missing. */
static int find_user(struct accounts *accounts, struct str token, struct arena *arena, struct user *out, struct err *e)
{
    struct str claims;
    if (account_need_key(accounts, e) < 0)
        return -1;
    if (verify(accounts, token, arena, &claims) < 0)
        return err_set(e, ERR_UNAUTHORIZED, NULL);
    struct str id = json_str(json_parse(arena, claims, NULL), "userId");
    if (!id.n || id.n > LIMIT_ID)
        return err_set(e, ERR_UNAUTHORIZED, NULL);
    struct user user;
    if (store_user_get(accounts->config.store, arena, id, &user, e) < 0)
        return -1;
    if (version_in(claims, arena, "v") != account_version(&user, arena))
        return err_set(e, ERR_UNAUTHORIZED, NULL);
    *out = user;
    return 0;
}

int account_of_token(struct accounts *accounts, struct str token, struct arena *arena, struct user *out, struct err *e)
{
    struct err why;
    if (find_user(accounts, token, arena, out, &why) == 0)
        return 0;
    if (why.code == ERR_NOT_FOUND)
        return err_set(e, ERR_UNAUTHORIZED, NULL);
    if (e)
        *e = why;
    return -1;
}

int account_named(struct accounts *accounts, struct str token, struct arena *arena, struct user *out, struct err *e)
{
    struct err why;
    if (find_user(accounts, token, arena, out, &why) == 0)
        return 0;
    if (why.code == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "User not found");
    if (why.code == ERR_UNAUTHORIZED)
        return invalid(e);
    if (e)
        *e = why;
    return -1;
}

/* ---- sessions ---- */

/* A refresh token: "<id of the session>-<version of the user's tokens>-<secret>". The version is that of the password
 * it was got with, so a session that was opened or renewed while the password changed is worth nothing. */
struct refresh {
    struct str id;
    int64_t version;
};

static bool is_hex(struct str s, size_t n)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n == n;
}

static bool read_refresh(struct str token, struct refresh *out)
{
    struct str rest = token, version, secret;
    return str_split(&rest, '-', &out->id) && str_split(&rest, '-', &version) && str_split(&rest, '-', &secret) &&
           !rest.p && is_object_id(out->id) && str_i64(version, &out->version) == 0 && is_hex(secret, 2 * SECRET_LEN);
}

static struct str make_refresh(struct str id, int64_t version, struct arena *arena)
{
    unsigned char bytes[SECRET_LEN];
    char secret[2 * SECRET_LEN + 1];
    rand_bytes(bytes, sizeof bytes);
    hex_encode(secret, bytes, sizeof bytes);
    struct str token = arena_printf(arena, "%.*s-%lld-%s", STR_ARG(id), (long long)version, secret);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(secret, sizeof secret);
    return token;
}

/* What is kept of a refresh token: it is random, so a plain digest will do. */
static struct str digest(struct str token, struct arena *arena)
{
    unsigned char bytes[32];
    unsigned int n = 0;
    char *hex = arena_alloc(arena, 2 * sizeof bytes + 1);
    if (EVP_Digest(token.p, token.n, bytes, &n, EVP_sha256(), NULL) != 1 || n != sizeof bytes)
        die("SHA-256 is not available");
    hex_encode(hex, bytes, sizeof bytes);
    return str_n(hex, 2 * sizeof bytes);
}

/* Now and then, by whoever comes along. That it fails changes nothing for them. */
static void purge(struct accounts *accounts, int64_t now_us)
{
    int64_t last = atomic_load(&accounts->purged_us), count;
    if (now_us - last < PURGE_EVERY || !atomic_compare_exchange_strong(&accounts->purged_us, &last, now_us))
        return;
    store_session_purge(accounts->config.store, now_us, &count, NULL);
}

static int64_t expiry(const struct accounts *accounts, int64_t now_us)
{
    return now_us + (int64_t)accounts->config.refresh_ms * 1000;
}

int account_open_session(struct accounts *accounts, struct arena *arena, struct account_session *out, struct err *e)
{
    char id[OBJECT_ID_LEN + 1];
    int64_t now_us = clock_wall_us();
    rand_object_id(id);
    if (account_sign(accounts, arena, &out->user, &out->token, e) < 0)
        return -1;
    out->refresh_token = make_refresh(str_c(id), account_version(&out->user, arena), arena);
    struct session session = {.id = str_c(id),
                              .user_id = out->user.id,
                              .token_hash = digest(out->refresh_token, arena),
                              .created_us = now_us,
                              .used_us = now_us,
                              .expires_us = expiry(accounts, now_us)};
    if (store_session_create(accounts->config.store, &session, e) < 0)
        return -1;
    purge(accounts, now_us);
    return 0;
}

/* The session is the token's no more than its user is: ended, or its password changed since. */
static int end_stale(struct accounts *accounts, struct str id, struct err *e)
{
    if (store_session_delete(accounts->config.store, id, e) < 0)
        return -1;
    return invalid(e);
}

static int rotate(struct accounts *accounts, struct str token, const struct refresh *refresh, struct arena *arena,
                  struct account_session *out, struct err *e)
{
    struct err why;
    struct session_rotated rotated;
    int64_t now_us = clock_wall_us();
    struct str next = make_refresh(refresh->id, refresh->version, arena);
    struct session_rotation rotation = {.id = refresh->id,
                                        .was = digest(token, arena),
                                        .token_hash = digest(next, arena),
                                        .now_us = now_us,
                                        .expires_us = expiry(accounts, now_us)};
    if (store_session_rotate(accounts->config.store, arena, &rotation, &rotated, &why) < 0)
        return why.code == ERR_NOT_FOUND ? invalid(e) : err_set(e, why.code, NULL);
    if (rotated.reused) {
        log_warn("account", "refresh_reused", F_STR("user", rotated.session.user_id));
        return invalid(e);
    }
    if (store_user_get(accounts->config.store, arena, rotated.session.user_id, &out->user, &why) < 0)
        return why.code == ERR_NOT_FOUND ? end_stale(accounts, refresh->id, e) : err_set(e, why.code, NULL);
    if (account_version(&out->user, arena) != refresh->version)
        return end_stale(accounts, refresh->id, e);
    out->refresh_token = next;
    return account_sign(accounts, arena, &out->user, &out->token, e);
}

int account_refresh(struct accounts *accounts, struct str token, struct arena *arena, struct account_session *out,
                    struct err *e)
{
    struct refresh refresh;
    struct err why;
    *out = (struct account_session){0};
    if (read_refresh(token, &refresh))
        return rotate(accounts, token, &refresh, arena, out, e);
    if (account_of_token(accounts, token, arena, &out->user, &why) < 0)
        return why.code == ERR_UNAUTHORIZED ? invalid(e) : err_set(e, why.code, NULL);
    return account_sign(accounts, arena, &out->user, &out->token, e);
}

int account_logout(struct accounts *accounts, struct str refresh_token, struct err *e)
{
    struct refresh refresh;
    if (!read_refresh(refresh_token, &refresh))
        return 0;
    return store_session_delete(accounts->config.store, refresh.id, e);
}
