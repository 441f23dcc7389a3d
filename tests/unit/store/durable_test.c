/* The power goes out. A layer under SQLite keeps, beside every file, an image of what has been synced: what a disk may
 * have when the machine dies, everything since the last sync being lost. At random acknowledgements the images are
 * copied; each copy, opened as a store, must hold all that was acknowledged before. */
#include "store/sqlite/sqlite_store.h"
#include "unit/support/run_task.h"
#include "unit/support/temp_dir.h"

#include "base/log.h"
#include "base/rand.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>

#define WRITERS 16
#define TURNS   60
#define CUTS    25

static sqlite3_vfs *below, shim;
static sqlite3_io_methods methods;
static char image_dir[TEMP_DIR_MAX];
static pthread_mutex_t image_lock = PTHREAD_MUTEX_INITIALIZER;

/* The real file follows this record. */
struct shim_file {
    sqlite3_file base;
    char path[256];
};

static sqlite3_file *real(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((struct shim_file *)(void *)file + 1);
}

static void image_of(const char *path, char out[512])
{
    const char *slash = strrchr(path, '/');
    snprintf(out, 512, "%s/%s", image_dir, slash + 1);
}

static void copy_file(const char *from, const char *to)
{
    static char block[KIB(64)];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n;
    assert_true(in && out);
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        assert_int_equal(fwrite(block, 1, n, out), n);
    fclose(in);
    fclose(out);
}

static int shim_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int shim_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    return real(f)->pMethods->xRead(real(f), to, n, at);
}

static int shim_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    return real(f)->pMethods->xWrite(real(f), from, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real(f)->pMethods->xTruncate(real(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    const char *path = ((struct shim_file *)(void *)f)->path;
    char image[512];
    int rc = real(f)->pMethods->xSync(real(f), flags);
    if (rc != SQLITE_OK || !path[0])
        return rc;
    image_of(path, image);
    pthread_mutex_lock(&image_lock);
    copy_file(path, image);
    pthread_mutex_unlock(&image_lock);
    return rc;
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xLock(real(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int shim_check_lock(sqlite3_file *f, int *reserved)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), reserved);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int shim_traits(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **at)
{
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, at);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int shim_shm_unmap(sqlite3_file *f, int delete)
{
    return real(f)->pMethods->xShmUnmap(real(f), delete);
}

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct shim_file *f = (struct shim_file *)(void *)file;
    (void)vfs;
    f->base.pMethods = NULL;
    snprintf(f->path, sizeof f->path, "%s", name ? name : "");
    int rc = below->xOpen(below, name, real(file), flags, out_flags);
    if (rc == SQLITE_OK)
        f->base.pMethods = &methods;
    return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    char image[512];
    (void)vfs;
    image_of(name, image);
    pthread_mutex_lock(&image_lock);
    unlink(image);
    pthread_mutex_unlock(&image_lock);
    return below->xDelete(below, name, sync_dir);
}

static void install(void)
{
    below = sqlite3_vfs_find(NULL);
    shim = *below;
    shim.zName = "images";
    shim.szOsFile += (int)sizeof(struct shim_file);
    shim.xOpen = shim_open;
    shim.xDelete = shim_delete;
    methods =
        (sqlite3_io_methods){2,           shim_close,   shim_read,     shim_write,       shim_truncate,  shim_sync,
                             shim_size,   shim_lock,    shim_unlock,   shim_check_lock,  shim_control,   shim_sector,
                             shim_traits, shim_shm_map, shim_shm_lock, shim_shm_barrier, shim_shm_unmap, NULL,
                             NULL};
    assert_int_equal(sqlite3_vfs_register(&shim, 1), SQLITE_OK);
}

/* One power cut: the disk as it was and what had been acknowledged by then. */
struct cut {
    char dir[TEMP_DIR_MAX];
    unsigned acked[WRITERS];
};

static struct cut cuts[CUTS + 1];
static unsigned ncuts;
static unsigned acked[WRITERS], running;
static struct store *st;
static struct task *starter;

static void cut_power(void)
{
    static const char *const names[] = {"parley.db", "parley.db-wal"};
    struct cut *cut = &cuts[ncuts++];
    memcpy(cut->acked, acked, sizeof acked);
    temp_dir_make(cut->dir);
    pthread_mutex_lock(&image_lock);
    for (size_t i = 0; i < COUNT(names); i++) {
        char from[512], to[512];
        snprintf(from, sizeof from, "%s/%s", image_dir, names[i]);
        snprintf(to, sizeof to, "%s/%s", cut->dir, names[i]);
        if (access(from, F_OK) == 0)
            copy_file(from, to);
    }
    pthread_mutex_unlock(&image_lock);
}

static void writer_main(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg;
    for (unsigned n = 0; n < TURNS; n++) {
        struct arena *a = arena_new("writer");
        struct turn_begin turn = {.create = true, .user = {.role = STR("user")}};
        struct store_appended out;
        struct err e = {0};
        turn.conversation = (struct conversation){.id = arena_printf(a, "w%u", number), .space = STR("chat")};
        turn.user.content = arena_printf(a, "%0*u", (int)(1 + rand_below(8000)), n);
        if (store_turn_begin(st, a, &turn, &out, &e) < 0)
            die("%s", e.text);
        acked[number]++;
        arena_free(a);
        if (ncuts < CUTS && rand_below(WRITERS * TURNS / CUTS) == 0)
            cut_power();
    }
    if (--running == 0)
        task_wake(starter);
}

static void writers_main(void *arg)
{
    (void)arg;
    starter = task_self();
    running = WRITERS;
    for (uintptr_t i = 0; i < WRITERS; i++)
        task_spawn("writer", writer_main, (void *)i);
    while (running)
        task_park(NULL);
}

static void check_cut(const struct cut *cut)
{
    struct store_config config = {.data_dir = cut->dir};
    struct store_report report;
    struct arena *a = arena_new("check");
    struct store *copy;
    struct err e;
    if (store_open(&store_sqlite, &config, &copy, &e) < 0)
        fail_msg("%s", e.text);
    for (unsigned i = 0; i < WRITERS; i++) {
        struct conversation got = {0};
        struct str id = arena_printf(a, "w%u", i);
        if (store_conversation_get(copy, a, id, &got, &e) < 0)
            assert_int_equal(e.code, ERR_CONVERSATION_NOT_FOUND);
        if (got.message_count < 2 * (int64_t)cut->acked[i])
            fail_msg("writer %u: %u turns acknowledged, %lld messages there", i, cut->acked[i],
                     (long long)got.message_count);
    }
    assert_int_equal(store_check(copy, a, &report, &e), 0);
    if (!report.ok)
        fail_msg("%s", report.detail.p);
    store_close(copy);
    arena_free(a);
    temp_dir_remove(cut->dir);
}

static void nothing_acknowledged_is_lost_with_the_power(void **state)
{
    char dir[TEMP_DIR_MAX];
    struct store_config config = {.data_dir = dir};
    struct err e;
    (void)state;
    temp_dir_make(dir);
    temp_dir_make(image_dir);
    install();
    if (store_open(&store_sqlite, &config, &st, &e) < 0)
        fail_msg("%s", e.text);
    run_task(writers_main, NULL);
    cut_power();
    store_close(st);
    sqlite3_vfs_unregister(&shim);
    for (unsigned i = 0; i < ncuts; i++)
        check_cut(&cuts[i]);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(cuts[ncuts - 1].acked[i], TURNS);
    temp_dir_remove(image_dir);
    temp_dir_remove(dir);
}

int main(void)
{
    log_setup(LOG_WARN, LOG_TEXT);
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost_with_the_power)};
    int failed = cmocka_run_group_tests_name("store/durable", tests, NULL, NULL);
    arena_thread_end();
    return failed;
}
