#include "store/mongo/uri.h"

#include "base/buf.h"

#include <stdlib.h>
#include <unistd.h>

/* The base64 keys of Azure are often pasted as they are; what stands in a connection string must be percent-encoded. */
static char *encode_password(const char *url)
{
    const char *scheme = strstr(url, "://"), *start = scheme ? scheme + 3 : url, *end = start + strcspn(start, "?");
    const char *at = end;
    while (at > start && *at != '@')
        at--;
    const char *colon = memchr(start, ':', (size_t)(at - start));
    if (*at != '@' || !colon)
        return str_dup(str_c(url));
    struct buf out = BUF_INIT(KIB(64));
    buf_add(&out, url, (size_t)(colon + 1 - url));
    for (const char *p = colon + 1; p < at; p++)
        if (strchr("/+=@:?#[]", *p))
            buf_addf(&out, "%%%02X", (unsigned)(unsigned char)*p);
        else
            buf_add(&out, p, 1);
    buf_add(&out, at, strlen(at));
    char *encoded = str_dup(buf_str(&out));
    buf_free(&out);
    return encoded;
}

bool mongo_uri_is_cosmos(const mongoc_uri_t *uri)
{
    const char *service = mongoc_uri_get_srv_hostname(uri);
    if (service && str_ends(str_c(service), STR(".cosmos.azure.com")))
        return true;
    for (const mongoc_host_list_t *h = mongoc_uri_get_hosts(uri); h; h = h->next)
        if (str_ends(str_c(h->host), STR(".cosmos.azure.com")) || str_ends(str_c(h->host), STR(".documents.azure.com")))
            return true;
    return false;
}

/* Whom we talk to is always checked. */
static int check_tls(mongoc_uri_t *uri, const char *ca_file, struct err *e)
{
    static const char *const refused[] = {MONGOC_URI_TLSINSECURE, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES,
                                          MONGOC_URI_TLSALLOWINVALIDHOSTNAMES};
    for (size_t i = 0; i < COUNT(refused); i++)
        if (mongoc_uri_get_option_as_bool(uri, refused[i], false))
            return err_set(e, ERR_NOT_CONFIGURED, "STORE_URL: %s is refused; name the authority in STORE_CA_FILE",
                           refused[i]);
    if (ca_file)
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, ca_file);
    const char *files[] = {mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, NULL),
                           mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE, NULL)};
    for (size_t i = 0; i < COUNT(files); i++)
        if (files[i] && access(files[i], R_OK) != 0)
            return err_set(e, ERR_NOT_CONFIGURED, "%s cannot be read", files[i]);
    return 0;
}

static void set_options(mongoc_uri_t *uri, const struct store_config *config)
{
    int32_t select_ms = config->select_ms ? (int32_t)config->select_ms : 2000;
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, select_ms);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, MAX(select_ms, 2000));
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, 60000);
    if (mongo_uri_is_cosmos(uri))
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);
    if (!mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_APPNAME, NULL))
        mongoc_uri_set_appname(uri, "parley");
}

mongoc_uri_t *mongo_uri(const struct store_config *config, struct err *e)
{
    bson_error_t error;
    if (!config->url || !*config->url) {
        err_set(e, ERR_NOT_CONFIGURED, "the MongoDB store needs its address: STORE_URL");
        return NULL;
    }
    char *url = encode_password(config->url);
    mongoc_uri_t *uri = mongoc_uri_new_with_error(url, &error);
    free(url);
    if (!uri) { /* its message may hold parts of the password */
        err_set(e, ERR_NOT_CONFIGURED, "STORE_URL is no connection string of MongoDB");
        return NULL;
    }
    set_options(uri, config);
    if (check_tls(uri, config->ca_file, e) == 0)
        return uri;
    mongoc_uri_destroy(uri);
    return NULL;
}
