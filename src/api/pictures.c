/* Pictures: /public/avatars and /uploads. */
#include "api/care_impl.h"

struct pictures *pictures_new(const struct api_config *config)
{
    (void)config;
    return NULL;
}

struct pictures *pictures_free(struct pictures *pictures)
{
    (void)pictures;
    return NULL;
}

int picture_keep(struct pictures *pictures, struct str bytes, struct arena *arena, struct str *path, struct err *e)
{
    (void)pictures, (void)bytes, (void)arena, (void)path;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

void picture_drop(struct pictures *pictures, struct str path)
{
    (void)pictures, (void)path;
}

int picture_of_text(struct pictures *pictures, struct str text, struct arena *arena, struct str *path, struct err *e)
{
    (void)pictures, (void)text, (void)arena, (void)path;
    return err_set(e, ERR_NOT_CONFIGURED, NULL);
}

static void get_avatar(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/public/avatars/:name", get_avatar, NULL, 0, NULL, "A picture"},
};

const struct door door_pictures = {routes, COUNT(routes), NULL};
