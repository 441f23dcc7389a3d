/* One arena per request or turn: allocate freely, release all at once. Not for use by two threads at a time.
 * The first block is a recycled 4 KiB page of the calling thread, so a small request touches malloc not at all. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/macros.h"
#include "base/str.h"

struct arena;

/* `name` is a literal, for messages. */
struct arena *arena_new(const char *name);
/* Runs what arena_own registered, latest first, then frees everything. Takes NULL, returns NULL. */
struct arena *arena_free(struct arena *a);

/* Releases the calling thread's recycled pages. A thread that ends does so by itself; main may call it. */
void arena_thread_end(void);

/* Never NULL; aligned for any type; arena_alloc does not zero. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* Copies with a terminating NUL behind the bytes. */
struct str arena_str(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* release(ptr) runs when the arena is freed. */
void arena_own(struct arena *a, void *ptr, void (*release)(void *ptr));
/* Bytes taken from the system by this arena. */
size_t arena_size(const struct arena *a);

#endif
