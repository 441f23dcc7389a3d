/* Heap memory. Exhaustion ends the process (die): sizes that input can choose are bounded before they get here. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Never NULL. mem_zalloc zeroes. Free with free(). */
void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *mem_realloc(void *old, size_t n) __attribute__((returns_nonnull, alloc_size(2)));
/* count * size with an overflow check. */
void *mem_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));

#endif
