#include "store/mongo/mongo_store.h"

static int mongo_open(const struct store_config *config, struct store **out, struct err *e)
{
    (void)config, (void)out;
    return err_set(e, ERR_NOT_CONFIGURED, "this build has no MongoDB driver");
}

const struct store_ops store_mongo = {.name = "mongo", .caps = STORE_BLOCKS, .open = mongo_open};
