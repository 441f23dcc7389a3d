/* A user's profile: read, and changed member by member, as JSON or as a form that may bring a picture. */
#include "api/accounts_impl.h"

#include "wire/multipart.h"

struct profile_form {
    struct account_form account;
    struct str avatar, picture; /* what the avatar is to be: text, or the bytes of a file; .p NULL: it stays */
    struct str current_password;
};

static void reply_profile(struct http_request *rq, const struct account_session *session)
{
    struct jw w = reply_writer(rq, ACCOUNT_REPLY_MAX);
    jw_obj(&w);
    put_user(&w, &session->user, true);
    account_put_tokens(&w, session);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

void profile_get(struct http_request *rq)
{
    struct account_session session = {0};
    if (care_guard(rq, &session.user) == 0)
        reply_profile(rq, &session);
}

/* ---- the body ---- */

/* null stands for a member that is not there. */
static int take_text(struct http_request *rq, const struct json_want *want, struct str *out, struct err *e)
{
    if (want->value.type == JSON_NONE || want->value.type == JSON_NULL)
        return 0;
    *out = want_text(rq->arena, &want->value);
    return out->p ? 0 : err_set(e, ERR_INVALID_REQUEST, "%s must be a string", want->path);
}

static int read_json(struct http_request *rq, struct profile_form *form, struct err *e)
{
    struct json_want wants[] = {
        {.path = "name"}, {.path = "email"}, {.path = "password"}, {.path = "currentPassword"}, {.path = "avatar"}};
    if (account_read_body(rq, wants, COUNT(wants), e) < 0)
        return -1;
    if (take_text(rq, &wants[0], &form->account.name, e) < 0 || take_text(rq, &wants[1], &form->account.email, e) < 0 ||
        take_text(rq, &wants[2], &form->account.password, e) < 0 ||
        take_text(rq, &wants[3], &form->current_password, e) < 0 || take_text(rq, &wants[4], &form->avatar, e) < 0)
        return -1;
    if (wants[4].value.type == JSON_NULL)
        form->avatar = STR("");
    return 0;
}

static int read_form(struct http_request *rq, struct profile_form *form, struct err *e)
{
    struct multipart m;
    struct multipart_part part;
    int more;
    if (multipart_init(&m, http_request_header(rq, STR("content-type")), rq->body, e) < 0)
        return -1;
    while ((more = multipart_next(&m, &part, e)) == 1) {
        if (str_eqc(part.name, "avatar") && part.filename.p)
            form->picture = part.body;
        else if (str_eqc(part.name, "avatar"))
            form->avatar = part.body;
        else if (str_eqc(part.name, "name"))
            form->account.name = part.body;
        else if (str_eqc(part.name, "email"))
            form->account.email = part.body;
        else if (str_eqc(part.name, "password"))
            form->account.password = part.body;
        else if (str_eqc(part.name, "currentPassword"))
            form->current_password = part.body;
    }
    return more;
}

static bool is_form(const struct http_request *rq)
{
    struct str type = http_request_header(rq, STR("content-type"));
    return type.n >= 10 && str_ieq(str_n(type.p, 10), STR("multipart/"));
}

static int read_profile(struct http_request *rq, struct profile_form *form, struct err *e)
{
    *form = (struct profile_form){0};
    if (!is_form(rq) && !http_request_is_json(rq))
        return err_set(e, ERR_UNSUPPORTED_MEDIA_TYPE, "The body must be JSON or a form");
    if ((is_form(rq) ? read_form(rq, form, e) : read_json(rq, form, e)) < 0)
        return -1;
    if (!form->account.password.n)
        form->account.password = STR_NONE; /* a field left empty: the password stays */
    /* A file input without a file sends an empty one. */
    if (!form->picture.n)
        form->picture = STR_NONE;
    return 0;
}

/* ---- the change ---- */

static void add_texts(const struct profile_form *form, struct account_change *change)
{
    change->form = form->account;
    change->set |= form->account.name.p ? USER_SET_NAME : 0;
    change->set |= form->account.email.p ? USER_SET_EMAIL : 0;
    change->set |= form->account.password.p ? USER_SET_PASSWORD : 0;
}

static int add_avatar(struct http_request *rq, const struct user *user, const struct profile_form *form,
                      struct account_change *change, struct err *e)
{
    struct pictures *pictures = api_of(rq)->pictures;
    change->avatar = user->avatar;
    if (!form->picture.p && (!form->avatar.p || str_eq(form->avatar, user->avatar)))
        return 0;
    change->set |= USER_SET_AVATAR;
    if (form->picture.p)
        return picture_keep(pictures, form->picture, rq->arena, &change->avatar, e);
    return picture_of_text(pictures, form->avatar, rq->arena, &change->avatar, e);
}

static int check_current(struct http_request *rq, const struct user *user, const struct profile_form *form,
                         struct err *e)
{
    struct err why;
    if (!form->current_password.p ||
        account_check_password(api_of(rq)->config.accounts, user, form->current_password, &why) == 0)
        return 0;
    if (why.code == ERR_UNAUTHORIZED)
        return err_set(e, ERR_INVALID_REQUEST, "The current password is wrong");
    *e = why;
    return -1;
}

/* Everything is checked before a picture is kept; of the old and the new one only that stays which is the user's. */
static int change_profile(struct http_request *rq, const struct user *user, const struct profile_form *form,
                          struct account_session *out, struct err *e)
{
    struct api *api = api_of(rq);
    struct account_change change = {.user_id = user->id};
    struct account_form checked = form->account;
    if (account_check_form(&checked, rq->arena, e) < 0 || check_current(rq, user, form, e) < 0)
        return -1;
    add_texts(form, &change);
    if (add_avatar(rq, user, form, &change, e) < 0)
        return -1;
    bool failed = account_update(api->config.accounts, &change, rq->arena, out, e) < 0;
    if (!failed && change.set & USER_SET_PASSWORD)
        care_live_revoke(api, user->id);
    if (!str_eq(change.avatar, user->avatar))
        picture_drop(api->pictures, failed ? change.avatar : user->avatar);
    return failed ? -1 : 0;
}

void profile_put(struct http_request *rq)
{
    struct err e;
    struct user user;
    struct profile_form form;
    struct account_session session;
    if (care_guard(rq, &user) < 0)
        return;
    if (read_profile(rq, &form, &e) < 0 || change_profile(rq, &user, &form, &session, &e) < 0)
        account_reply_failure(rq, &e, "Server error while updating the profile");
    else
        reply_profile(rq, &session);
}
