/* Intrusive doubly linked list. The head and every entry are a `struct list`; an unlinked entry points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/macros.h"

#include <stdbool.h>

struct list {
    struct list *prev, *next;
};

/* clang-format off */
#define LIST_INIT(head) {&(head), &(head)}
/* clang-format on */

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* Links `entry` in front of `at`: before the head means last. */
static inline void list_insert_before(struct list *at, struct list *entry)
{
    entry->prev = at->prev;
    entry->next = at;
    at->prev->next = entry;
    at->prev = entry;
}

static inline void list_push_back(struct list *head, struct list *entry)
{
    list_insert_before(head, entry);
}

static inline void list_push_front(struct list *head, struct list *entry)
{
    list_insert_before(head->next, entry);
}

/* Unlinks; harmless on an entry that is not linked. */
static inline void list_remove(struct list *entry)
{
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
    list_init(entry);
}

/* Unlinks and returns the first entry, NULL when empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *first = head->next;
    if (first == head)
        return NULL;
    list_remove(first); /* the analyzer loses count of neighbours: NOLINT(clang-analyzer-unix.Malloc) */
    return first;
}

/* Moves all entries of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* As list_each; the current entry may be removed. */
#define list_each_safe(it, head)                                                                                       \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
