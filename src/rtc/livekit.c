#include "rtc/livekit.h"

struct livekit *livekit_new(const struct livekit_config *config, struct err *e)
{
    (void)config, (void)e;
    return NULL;
}

struct livekit *livekit_free(struct livekit *livekit)
{
    (void)livekit;
    return NULL;
}

const char *livekit_ws_url(const struct livekit *livekit)
{
    (void)livekit;
    return NULL;
}

int livekit_token(const struct livekit *livekit, const struct livekit_grant *grant, struct arena *arena,
                  struct str *token, struct err *e)
{
    (void)livekit, (void)grant, (void)arena, (void)token, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int livekit_create_room(struct livekit *livekit, const struct livekit_room *want, struct arena *arena, cJSON **room,
                        struct err *e)
{
    (void)livekit, (void)want, (void)arena, (void)room, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int livekit_list_rooms(struct livekit *livekit, struct arena *arena, cJSON **rooms, struct err *e)
{
    (void)livekit, (void)arena, (void)rooms, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int livekit_delete_room(struct livekit *livekit, struct str name, struct err *e)
{
    (void)livekit, (void)name, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

int livekit_check_webhook(const struct livekit *livekit, struct str authorization, struct str body, struct err *e)
{
    (void)livekit, (void)authorization, (void)body, (void)e;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}
