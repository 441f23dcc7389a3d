/* Whose a socket is in customer care, and which conversations it is told of. The dialect's own front end shows no
 * token: then the user it claims must exist, and customer care must be open (section 5 of the clients' contract). */
#include "api/care_live_impl.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- rooms ---- */

static struct care_room room_of(const char *kind, struct str id)
{
    struct care_room room;
    snprintf(room.name, sizeof room.name, "care:%s:%.*s", kind, STR_ARG(id));
    return room;
}

struct care_room care_room_of_user(struct str user_id)
{
    return room_of("user", user_id);
}

struct care_room care_room_of_conversation(struct str id)
{
    return room_of("call", id);
}

struct care_room care_room_of_socket(const struct sio_socket *s)
{
    struct care_room room;
    snprintf(room.name, sizeof room.name, "care:one:%" PRIu64, sio_serial_number(s));
    return room;
}

static void enter(struct sio_socket *s, struct care_room room)
{
    struct err e; /* it is over: nothing is told any more */
    sio_join(s, str_c(room.name), &e);
}

static void leave(struct sio_socket *s, struct care_room room)
{
    sio_leave(s, str_c(room.name));
}

/* ---- who ---- */

static void forget(struct sio_socket *s)
{
    struct live_socket *state = sio_user(s);
    struct care_member *care = state->care;
    if (!care)
        return;
    leave(s, care_room_of_user(str_c(care->user_id)));
    for (size_t i = 0; i < CARE_LIVE_CONVERSATIONS; i++)
        if (care->conversations[i][0])
            leave(s, care_room_of_conversation(str_c(care->conversations[i])));
    memset(care, 0, sizeof *care);
}

static int user_of_token(struct sio_socket *s, struct str user_id, struct arena *arena, struct user *user,
                         struct err *e)
{
    const struct api *api = sio_owner(s);
    const struct live_socket *state = sio_user(s);
    if (account_of_token(api->config.accounts, str_c(state->jwt), arena, user, e) < 0) {
        if (e->code == ERR_UNAUTHORIZED) /* no longer good: nor is it told anything more */
            forget(s);
        return -1;
    }
    return !user_id.n || str_eq(user_id, user->id) ? 0 : err_set(e, ERR_UNAUTHORIZED, NULL);
}

int care_live_user(struct sio_socket *s, struct str user_id, struct arena *arena, struct user *user, struct err *e)
{
    const struct api *api = sio_owner(s);
    const struct live_socket *state = sio_user(s);
    if (!api->config.accounts)
        return err_set(e, ERR_UNAUTHORIZED, NULL);
    if (state->jwt)
        return user_of_token(s, user_id, arena, user, e);
    if (!user_id.n && state->care)
        user_id = arena_str(arena, str_c(state->care->user_id));
    if (!user_id.n || !admit_space(api, false, STR(CARE_SPACE)))
        return err_set(e, ERR_UNAUTHORIZED, NULL);
    if (!is_object_id(user_id))
        return err_set(e, ERR_NOT_FOUND, "User not found");
    return account_get(api->config.accounts, user_id, arena, user, e);
}

int care_live_conversation(struct sio_socket *s, struct str user_id, struct str id, struct arena *arena,
                           struct conversation *out, struct err *e)
{
    const struct api *api = sio_owner(s);
    struct chat_scope own = {.space = CARE_SPACE, .owner = user_id};
    if (!user_id.n || !is_object_id(id))
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    return conversation_get(api->chat, &own, id, 0, arena, out, e);
}

/* ---- coming and going ---- */

static struct care_member *member_of_user(struct sio_socket *s, struct str user_id)
{
    struct live_socket *state = sio_user(s);
    if (state->care && !str_eqc(user_id, state->care->user_id))
        forget(s);
    if (!state->care)
        state->care = mem_zalloc(sizeof *state->care);
    if (!state->care->user_id[0]) {
        str_copy(state->care->user_id, sizeof state->care->user_id, user_id);
        enter(s, care_room_of_user(user_id));
        enter(s, care_room_of_socket(s));
    }
    return state->care;
}

static char *find(struct care_member *care, struct str id)
{
    for (size_t i = 0; care && i < CARE_LIVE_CONVERSATIONS; i++)
        if (str_eqc(id, care->conversations[i]))
            return care->conversations[i];
    return NULL;
}

void care_live_enter(struct sio_socket *s, struct str user_id, struct str conversation_id)
{
    const struct live_socket *state = sio_user(s);
    if (state->over || !is_object_id(user_id) || !is_object_id(conversation_id))
        return;
    struct care_member *care = member_of_user(s, user_id);
    if (find(care, conversation_id))
        return;
    char *place = care->conversations[care->next];
    care->next = (care->next + 1) % CARE_LIVE_CONVERSATIONS;
    if (place[0])
        leave(s, care_room_of_conversation(str_c(place)));
    str_copy(place, OBJECT_ID_LEN + 1, conversation_id);
    enter(s, care_room_of_conversation(conversation_id));
}

int care_live_join(struct sio_socket *s, struct str id, struct str user_id, struct arena *arena, struct err *e)
{
    struct user user;
    struct conversation found;
    if (!is_object_id(id))
        return 0;
    if (care_live_user(s, user_id, arena, &user, e) < 0 || care_live_conversation(s, user.id, id, arena, &found, e) < 0)
        return err_status(e->code) < 500 ? 0 : -1;
    care_live_enter(s, user.id, id);
    return 1;
}

void care_live_leave(struct sio_socket *s, struct str id)
{
    const struct live_socket *state = sio_user(s);
    char *place = id.n ? find(state->care, id) : NULL;
    if (!place)
        return;
    leave(s, care_room_of_conversation(id));
    place[0] = '\0';
}

static void forget_revoked(struct sio_socket *s)
{
    const struct live_socket *state = sio_user(s);
    if (state->jwt)
        forget(s);
}

void care_live_revoke(struct api *api, struct str user_id)
{
    struct care_room room = care_room_of_user(user_id);
    sio_each(api->live, STR("/"), str_c(room.name), forget_revoked);
}

void care_live_arrive(struct sio_socket *s)
{
    const struct live_socket *state = sio_user(s);
    struct arena *arena = arena_new("care_arrive");
    struct user user;
    struct err e;
    if (state->jwt && state->care)
        user_of_token(s, STR_NONE, arena, &user, &e);
    arena_free(arena);
}

void care_live_closed(struct sio_socket *s)
{
    struct live_socket *state = sio_user(s);
    free(state->care); /* its rooms were left already */
    state->care = NULL;
}
