#include "base/arena.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/sanitize.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define PAGE       KIB(4)
#define KEPT_PAGES 64 /* recycled first blocks a thread keeps: 256 KiB */

struct block {
    struct block *next;
    size_t size; /* bytes behind this header */
};

struct owned {
    struct owned *next;
    void *ptr;
    void (*release)(void *ptr);
};

struct arena {
    const char *name;
    struct block *blocks; /* newest first; the arena itself lives in the oldest */
    struct owned *owned;
    char *at, *end; /* free part of the newest block */
    size_t size;
};

static _Thread_local struct {
    struct block *pages;
    unsigned count;
} kept;

static struct block *page_take(void)
{
    struct block *page = kept.pages;
    if (!page) {
        page = mem_alloc(PAGE);
        page->size = PAGE - sizeof *page;
        return page;
    }
    kept.pages = page->next;
    kept.count--;
    ASAN_UNPOISON_MEMORY_REGION(page, PAGE);
    return page;
}

static void thread_ended(void *unused)
{
    (void)unused;
    arena_thread_end();
}

static pthread_key_t at_thread_end;

static void make_key(void)
{
    if (pthread_key_create(&at_thread_end, thread_ended) != 0)
        die("pthread_key_create failed");
}

static void page_give(struct block *page)
{
    if (kept.count == KEPT_PAGES) {
        free(page);
        return;
    }
    if (!kept.pages) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, make_key);
        pthread_setspecific(at_thread_end, &kept); /* any value: the destructor runs for a thread that kept pages */
    }
    page->next = kept.pages;
    kept.pages = page;
    kept.count++;
    ASAN_POISON_MEMORY_REGION(page + 1, PAGE - sizeof *page);
}

void arena_thread_end(void)
{
    while (kept.pages) {
        struct block *page = kept.pages;
        ASAN_UNPOISON_MEMORY_REGION(page, PAGE);
        kept.pages = page->next;
        free(page);
    }
    kept.count = 0;
}

struct arena *arena_new(const char *name)
{
    struct block *first = page_take();
    first->next = NULL;
    struct arena *a = (struct arena *)(void *)(first + 1);
    *a = (struct arena){
        .name = name, .blocks = first, .at = (char *)(a + 1), .end = (char *)(first + 1) + first->size, .size = PAGE};
    ASAN_POISON_MEMORY_REGION(a->at, (size_t)(a->end - a->at));
    return a;
}

struct arena *arena_free(struct arena *a)
{
    if (!a)
        return NULL;
    for (struct owned *o = a->owned; o; o = o->next)
        o->release(o->ptr);
    struct block *block = a->blocks;
    while (block->next) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    ASAN_UNPOISON_MEMORY_REGION(block, PAGE);
    page_give(block);
    return NULL;
}

static void add_block(struct arena *a, size_t need)
{
    size_t size = MAX(need, MIN(a->size, KIB(64)));
    struct block *block = mem_alloc(sizeof *block + size);
    *block = (struct block){.next = a->blocks, .size = size};
    a->blocks = block;
    a->at = (char *)(block + 1);
    a->end = a->at + size;
    a->size += sizeof *block + size;
    ASAN_POISON_MEMORY_REGION(a->at, size);
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        die("arena %s: %zu bytes asked", a->name, n);
    size_t take = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (take > (size_t)(a->end - a->at))
        add_block(a, take);
    void *p = a->at;
    a->at += take;
    ASAN_UNPOISON_MEMORY_REGION(p, n);
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = 0;
    return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
    return (struct str){arena_cstr(a, s), s.n};
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        die("arena_printf: bad format %s", fmt);
    char *text = arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return (struct str){text, (size_t)n};
}

void arena_own(struct arena *a, void *ptr, void (*release)(void *ptr))
{
    struct owned *o = arena_alloc(a, sizeof *o);
    *o = (struct owned){.next = a->owned, .ptr = ptr, .release = release};
    a->owned = o;
}

size_t arena_size(const struct arena *a)
{
    return a->size;
}
