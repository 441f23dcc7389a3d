#include "store/sqlite/schema.h"

#include "base/log.h"

#include <stdio.h>

/* A message's key is its conversation's key and its seq, so a conversation's messages lie side by side in the file and
 * the next one goes behind the last. Conversation keys are never used twice (AUTOINCREMENT): what a deleted
 * conversation leaves behind until it is swept cannot turn up in another. Ids made by the store sort by time, so the
 * index of ids grows at its end whatever conversations the messages are for. */
static const char version_1[] = //
    "CREATE TABLE users(key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, email TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL, role TEXT NOT NULL, password_hash TEXT NOT NULL, avatar TEXT NOT NULL, meta TEXT NOT NULL,"
    " created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL) STRICT;"

    "CREATE TABLE agents(key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, name TEXT NOT NULL,"
    " company TEXT NOT NULL, personality TEXT NOT NULL, info TEXT NOT NULL, prompts TEXT NOT NULL, meta TEXT NOT NULL,"
    " created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL) STRICT;"
    "CREATE INDEX agents_owner ON agents(owner, created_us);"

    "CREATE TABLE conversations(key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, space TEXT NOT NULL,"
    " owner TEXT NOT NULL, agent_id TEXT NOT NULL, device_id TEXT NOT NULL, title TEXT NOT NULL,"
    " status TEXT NOT NULL, active INTEGER NOT NULL, created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL,"
    " message_count INTEGER NOT NULL, meta TEXT NOT NULL) STRICT;"
    "CREATE INDEX conversations_updated ON conversations(space, owner, updated_us);"
    "CREATE INDEX conversations_created ON conversations(space, owner, created_us);"
    "CREATE INDEX conversations_device ON conversations(device_id, updated_us) WHERE device_id <> '';"

    "CREATE TABLE messages(key INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, status INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL, id TEXT NOT NULL, role TEXT NOT NULL, client_id TEXT NOT NULL, meta TEXT NOT NULL,"
    " content TEXT NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX messages_id ON messages(id, conversation);"
    "CREATE UNIQUE INDEX messages_client_id ON messages(conversation, client_id) WHERE client_id <> '';"
    "CREATE INDEX messages_streaming ON messages(status) WHERE status = 1;"

    "CREATE TABLE settings(owner TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, updated_us INTEGER NOT NULL,"
    " PRIMARY KEY(owner, name)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE processed(id TEXT NOT NULL PRIMARY KEY, device_id TEXT NOT NULL, at_us INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX processed_at ON processed(at_us);";

/* Token usage; and conversations whose messages are still to be swept. */
static const char version_2[] = //
    "CREATE TABLE usage(key INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL, message_id TEXT NOT NULL,"
    " model TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, at_us INTEGER NOT NULL)"
    " STRICT;"
    "CREATE INDEX usage_conversation ON usage(conversation_id);"
    "CREATE INDEX usage_at ON usage(at_us);"

    "CREATE TABLE swept(conversation INTEGER PRIMARY KEY) STRICT;";

static const char version_3[] = //
    "CREATE TABLE sessions(id TEXT NOT NULL PRIMARY KEY, user_id TEXT NOT NULL, token_hash TEXT NOT NULL,"
    " created_us INTEGER NOT NULL, used_us INTEGER NOT NULL, expires_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX sessions_user ON sessions(user_id);"
    "CREATE INDEX sessions_expires ON sessions(expires_us);";

static const char *const versions[] = {version_1, version_2, version_3};

int64_t schema_newest(void)
{
    return COUNT(versions);
}

static int script(struct db *db, const char *sql, struct err *e)
{
    int rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : db_fail(db, rc, "migration", e);
}

static int migrate_to(struct db *db, int64_t version, struct err *e)
{
    char mark[96];
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", SCHEMA_APPLICATION,
             (int)version);
    if (script(db, "BEGIN IMMEDIATE", e) == 0 && script(db, versions[version - 1], e) == 0 && script(db, mark, e) == 0)
        return 0;
    sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

static int check_ours(struct db *db, int64_t *version, struct err *e)
{
    int64_t application = 0, tables = 0;
    if (db_int(db, "PRAGMA user_version", version, NULL) < 0 ||
        db_int(db, "PRAGMA application_id", &application, NULL) < 0 ||
        db_int(db, "SELECT count(*) FROM sqlite_schema", &tables, NULL) < 0)
        return err_set(e, ERR_NOT_CONFIGURED, "the database cannot be read: %s", sqlite3_errmsg(db->sql));
    if (tables > 0 && application != SCHEMA_APPLICATION)
        return err_set(e, ERR_NOT_CONFIGURED, "the database belongs to another program");
    if (*version > schema_newest())
        return err_set(e, ERR_NOT_CONFIGURED, "the database has schema version %d, this build knows up to %d",
                       (int)*version, (int)schema_newest());
    return 0;
}

int schema_migrate(struct db *db, struct err *e)
{
    int64_t version = 0;
    if (check_ours(db, &version, e) < 0)
        return -1;
    int64_t from = version;
    for (; version < schema_newest(); version++)
        if (migrate_to(db, version + 1, e) < 0)
            return -1;
    if (from < version)
        log_info("store", from ? "schema_migrated" : "database_made", F_INT("from", from), F_INT("version", version));
    return 0;
}
