/* Accounts of users (dialect 003): /api/auth. */
#include "api/accounts_impl.h"

#include "auth/token.h"

#define BODY_MAX KIB(64)

/* ---- the body ---- */

enum { NAME, EMAIL, PASSWORD, FIELDS };

static const char *const required[FIELDS] = {"Name is required", "Email is required", "Password is required"};

struct credentials {
    struct str fields[FIELDS];
};

int account_read_body(struct http_request *rq, struct json_want *wants, size_t n, struct err *e)
{
    enum json_type root;
    if (str_trim(rq->body).n == 0)
        return 0; /* as an object without members */
    if (json_scan(rq->body, wants, n, &root, e) < 0)
        return -1;
    return root == JSON_OBJECT ? 0 : err_set(e, ERR_INVALID_REQUEST, "The body must be a JSON object");
}

static int read_credentials(struct http_request *rq, struct credentials *out, struct err *e)
{
    struct json_want wants[FIELDS] = {{.path = "name"}, {.path = "email"}, {.path = "password"}};
    if (account_read_body(rq, wants, FIELDS, e) < 0)
        return -1;
    for (size_t i = 0; i < FIELDS; i++)
        out->fields[i] = want_text(rq->arena, &wants[i].value);
    return 0;
}

/* 400 with a text for each field that is missing, from `first` on. False when none is. */
static bool reply_missing(struct http_request *rq, const struct credentials *given, size_t first, struct str text)
{
    static const char *const names[FIELDS] = {"name", "email", "password"};
    struct err e;
    bool missing = false;
    for (size_t i = first; i < FIELDS; i++)
        missing = missing || !given->fields[i].n;
    if (!missing)
        return false;
    err_set(&e, ERR_INVALID_REQUEST, "%.*s", STR_ARG(text));
    struct jw w = reply_writer(rq, ACCOUNT_REPLY_MAX);
    jw_obj(&w);
    put_error(&w, &e);
    jw_key(&w, "fields");
    jw_obj(&w);
    for (size_t i = first; i < FIELDS; i++)
        if (given->fields[i].n)
            jw_knull(&w, names[i]);
        else
            jw_kstr(&w, names[i], str_c(required[i]));
    jw_end_obj(&w);
    jw_end_obj(&w);
    http_reply_jw(rq, 400, &w);
    return true;
}

/* ---- replies ---- */

void account_reply_failure(struct http_request *rq, struct err *e, const char *text)
{
    if (e->status == 500)
        err_set(e, ERR_INTERNAL_ERROR, "%s", text);
    http_reply_error(rq, e);
}

void account_put_tokens(struct jw *w, const struct account_session *session)
{
    if (session->token.n)
        jw_kstr(w, "token", session->token);
    if (session->refresh_token.n)
        jw_kstr(w, "refreshToken", session->refresh_token);
}

static void reply_session(struct http_request *rq, int status, const struct account_session *session)
{
    struct jw w = reply_writer(rq, ACCOUNT_REPLY_MAX);
    jw_obj(&w);
    account_put_tokens(&w, session);
    jw_key(&w, "user");
    jw_obj(&w);
    put_user(&w, &session->user, false);
    jw_end_obj(&w);
    jw_end_obj(&w);
    http_reply_jw(rq, status, &w);
}

static void reply_user(struct http_request *rq, const struct user *user)
{
    struct jw w = reply_writer(rq, ACCOUNT_REPLY_MAX);
    jw_obj(&w);
    put_user(&w, user, false);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

/* ---- coming in ---- */

static struct account_form form_of(const struct http_request *rq, const struct credentials *given)
{
    return (struct account_form){.name = given->fields[NAME],
                                 .email = given->fields[EMAIL],
                                 .password = given->fields[PASSWORD],
                                 .address = rq->address};
}

/* The two ways of proving who one is. */
struct way_in {
    size_t first;        /* required: this field and those behind it */
    const char *missing; /* what is said when one is not there */
    int (*enter)(struct accounts *accounts, const struct account_form *form, struct arena *arena,
                 struct account_session *out, struct err *e);
    const char *failure;
    int status;
};

static void come_in(struct http_request *rq, const struct way_in *way)
{
    struct err e;
    struct credentials given;
    struct account_session session;
    if (read_credentials(rq, &given, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (reply_missing(rq, &given, way->first, str_c(way->missing)))
        return;
    struct account_form form = form_of(rq, &given);
    if (way->enter(api_of(rq)->config.accounts, &form, rq->arena, &session, &e) < 0)
        account_reply_failure(rq, &e, way->failure);
    else
        reply_session(rq, way->status, &session);
}

static void post_register(struct http_request *rq)
{
    static const struct way_in way = {NAME, "All fields are required", account_register,
                                      "Server error during registration", 201};
    come_in(rq, &way);
}

static void post_login(struct http_request *rq)
{
    static const struct way_in way = {EMAIL, "Email and password are required", account_login,
                                      "Server error during login", 200};
    come_in(rq, &way);
}

/* ---- who one is ---- */

static void get_me(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct str token = bearer_token(http_request_header(rq, STR("authorization")));
    if (!token.n)
        err_set(&e, ERR_UNAUTHORIZED, "No token provided");
    else if (account_named(api_of(rq)->config.accounts, token, rq->arena, &user, &e) == 0) {
        reply_user(rq, &user);
        return;
    }
    http_reply_error(rq, &e);
}

/* ---- going on, and out ---- */

/* {"refreshToken"} or {"token"}, or the header. */
static int read_token(struct http_request *rq, struct str *token, struct err *e)
{
    struct json_want wants[] = {{.path = "refreshToken"}, {.path = "token"}};
    if (account_read_body(rq, wants, COUNT(wants), e) < 0)
        return -1;
    *token = want_text(rq->arena, &wants[0].value);
    if (!token->n)
        *token = want_text(rq->arena, &wants[1].value);
    if (!token->n)
        *token = bearer_token(http_request_header(rq, STR("authorization")));
    return 0;
}

static void post_refresh(struct http_request *rq)
{
    struct err e;
    struct str token;
    struct account_session session;
    if (read_token(rq, &token, &e) < 0 ||
        account_refresh(api_of(rq)->config.accounts, token, rq->arena, &session, &e) < 0)
        account_reply_failure(rq, &e, "Server error during refresh");
    else
        reply_session(rq, 200, &session);
}

static void post_logout(struct http_request *rq)
{
    struct err e;
    struct str token;
    if (read_token(rq, &token, &e) < 0 || account_logout(api_of(rq)->config.accounts, token, &e) < 0)
        account_reply_failure(rq, &e, "Server error during logout");
    else
        http_reply_json(rq, 200, STR("{\"message\":\"Logged out\"}"));
}

static const struct http_route routes[] = {
    {HTTP_POST, "/api/auth/register", post_register, NULL, BODY_MAX, NULL, "Makes an account"},
    {HTTP_POST, "/api/auth/login", post_login, NULL, BODY_MAX, NULL, "A token for an e-mail address and a password"},
    {HTTP_GET, "/api/auth/me", get_me, NULL, 0, NULL, "The user of the token"},
    {HTTP_POST, "/api/auth/refresh", post_refresh, NULL, BODY_MAX, NULL, "A new token for a refresh token"},
    {HTTP_POST, "/api/auth/logout", post_logout, NULL, BODY_MAX, NULL, "Ends a refresh token"},
    {HTTP_GET, "/api/auth/profile", profile_get, NULL, 0, NULL, "The profile of the token's user"},
    {HTTP_PUT, "/api/auth/profile", profile_put, NULL, HTTP_ANY_TYPE, NULL, "Changes the profile"},
};

const struct door door_accounts = {routes, COUNT(routes), NULL};
