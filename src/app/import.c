#include "app/import.h"

#include "app/drivers.h"
#include "app/import_impl.h"
#include "base/log.h"
#include "store/mongo/import.h"

#include <stdio.h>
#include <string.h>

typedef enum import_outcome import_one(struct import *im, const cJSON *doc, struct arena *arena, struct err *e);

/* In this order: who belongs to whom. */
static const struct collection {
    const char *name; /* as Mongoose calls it */
    const char *kind;
    import_one *one;
} collections[] = {
    [IMPORT_USERS] = {"users", "user", import_user},
    [IMPORT_AGENTS] = {"agents", "agent", import_agent},
    [IMPORT_CONVERSATIONS] = {"conversations", "conversation", import_conversation},
};

struct reading {
    struct import *im;
    enum import_kind kind;
};

void import_report(const char *kind, const char *id, long at, const char *why)
{
    char place[32] = "";
    if (at >= 0)
        snprintf(place, sizeof place, " %ld of", at + 1);
    fprintf(stderr, "not brought over: %s%s %s: %s\n", kind, place, *id ? id : "(no id)", why);
}

static enum import_outcome import_document(struct reading *r, const struct mongo_document *doc, struct err *e)
{
    struct arena *arena = arena_new("import");
    enum import_outcome outcome = IMPORT_REFUSED;
    err_set(e, ERR_INVALID_REQUEST, "it has text that is not UTF-8");
    const cJSON *tree = doc->json.p ? json_parse(arena, doc->json, e) : NULL;
    if (tree)
        outcome = collections[r->kind].one(r->im, tree, arena, e);
    arena_free(arena);
    return outcome;
}

static int take(void *arg, const struct mongo_document *doc, struct err *e)
{
    struct reading *r = arg;
    struct import_counts *counts = &r->im->counts[r->kind];
    struct err why = {0};
    counts->read++;
    switch (import_document(r, doc, &why)) {
    case IMPORT_BROUGHT:
        counts->brought++;
        return 0;
    case IMPORT_THERE:
        counts->there++;
        return 0;
    case IMPORT_REFUSED:
        counts->refused++;
        import_report(collections[r->kind].kind, doc->id, -1, why.text);
        return 0;
    case IMPORT_FAILED:
        break;
    }
    return err_set(e, why.code, "The store to import into: %s", why.text);
}

static int import_all(struct import *im, struct mongo_source *source, struct err *e)
{
    for (enum import_kind kind = IMPORT_USERS; kind <= IMPORT_CONVERSATIONS; kind++) {
        struct reading r = {im, kind};
        if (mongo_source_each(source, collections[kind].name, take, &r, e) < 0)
            return -1;
    }
    return 0;
}

static void print_counts(const struct import *im)
{
    static const char *const names[IMPORT_KINDS] = {"users", "agents", "conversations", "messages"};
    printf("%-14s%10s%10s%14s%14s\n", "", "read", "brought", "already there", "not brought");
    for (size_t i = 0; i < IMPORT_KINDS; i++) {
        const struct import_counts *c = &im->counts[i];
        printf("%-14s%10zu%10zu%14zu%14zu\n", names[i], c->read, c->brought, c->there, c->refused);
    }
}

static int run(const struct config *cfg, const char *from, struct import *im, struct err *e)
{
    struct store_config config = {.url = from ? from : cfg->store_url,
                                  .ca_file = cfg->store_ca_file,
                                  .select_ms = (unsigned)cfg->store_select_timeout_ms};
    struct mongo_source *source = NULL;
    int result = -1;
    if (mongo_source_open(&config, &source, e) == 0 && drivers_open_store(cfg, &im->store, e) == 0)
        result = import_all(im, source, e);
    store_close(im->store);
    mongo_source_close(source);
    return result;
}

int import_mongo(struct config *cfg, const char *from)
{
    struct import im = {0};
    struct err e = {0};
    log_setup(LOG_ERROR, cfg->log_format);
    int result = run(cfg, from, &im, &e);
    print_counts(&im);
    if (result < 0)
        fprintf(stderr,
                "parley: the import did not come to its end: %s\nIt goes on where "
                "it stopped when it is run again.\n",
                e.text);
    config_free(cfg);
    return result < 0 ? 1 : 0;
}

int import_options(int argc, char **argv, const char **from)
{
    int n = 0;
    *from = NULL;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--from=", 7) == 0)
            *from = argv[i] + 7;
        else if (strcmp(argv[i], "--from") != 0)
            argv[n++] = argv[i];
        else if (++i < argc)
            *from = argv[i];
        else
            return -1;
    }
    return n;
}
