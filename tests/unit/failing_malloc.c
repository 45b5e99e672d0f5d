/* Preloaded: fails the n-th allocation from now on, and then every one, until told to
 * stop; n < 0: none. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

static _Thread_local long left = -1;
static _Thread_local int has_failed;

void fail_after(long n) {
    left = n;
    has_failed = 0;
}

int stop_failing(void) {
    left = -1;
    return has_failed;
}

static int fails(void) {
    if (left < 0) return 0;
    if (left > 0) {
        left--;
        return 0;
    }
    has_failed = 1;
    errno = ENOMEM;
    return 1;
}

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t width);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

void *malloc(size_t n) { return fails() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t width) {
    return fails() ? NULL : __libc_calloc(n, width);
}
void *realloc(void *p, size_t n) { return fails() ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t alignment, size_t n) {
    return fails() ? NULL : __libc_memalign(alignment, n);
}
