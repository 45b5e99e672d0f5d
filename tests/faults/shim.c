/* Preloaded: sees every libc call that changes files below one directory, from any
 * thread, and can log it, let it fail, cut it short, or kill the process there.
 *
 * Nothing happens until shim_arm() was called: the process that forks the cases arms in
 * the child. Calls on a descriptor are known by where /proc says that it leads, so that
 * renames, duplicates and files without a name need no books. Calls that libc makes
 * within itself (stdio, opendir) are not seen; tests/faults/test_shim.py shows that
 * nobody writes to a store by these. One lock around each call makes the order in the
 * log the order on the disk. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The order is that of `Kind` in shim.py. */
enum kind {
    OPEN_WRITE,
    OPEN_READ,
    WRITE,
    FSYNC,
    TRUNCATE,
    RENAME,
    LINK,
    UNLINK,
    MKDIR,
    RMDIR,
    CLOSE,
};

/* The order is that of `Mode` in shim.py. */
enum mode {
    OFF,
    RECORD,
    KILL_BEFORE,
    KILL_AFTER,
    KILL_WITHIN,
    FAIL_ONCE,
    FAIL_FROM,
    CUT
};

/* Shared by a process that forks and the children, so that a killed one has told. */
struct told {
    long n_counted;
    long has_fired;
};

/* One call in the log; two paths and the data follow. */
struct entry {
    int32_t kind, error;
    int64_t result, offset, flags;
    uint64_t inode;
    uint32_t path_bytes, other_bytes;
    uint64_t data_bytes;
};

/* What a call is about, filled in before it is made. */
struct call {
    enum kind kind;
    const char *path, *other;
    int fd;
    int64_t offset, flags;
    uint64_t inode;
    const struct iovec *data;
    int n_data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct told *told;
static char below[PATH_MAX];
static enum mode mode = OFF;
static unsigned kinds;
static long wanted;
static int failure, log_fd = -1;

__attribute__((constructor)) static void share(void) {
    void *page = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    told = page == MAP_FAILED ? calloc(1, sizeof *told) : page;
}

/* Begin: calls of these kinds (a bit each) are counted from 1; the n-th is the one that
 * fails or kills. Every call goes to the log, counted or not. 0, or -1 on no log. */
int shim_arm(const char *directory, int how, unsigned which, long n, int error,
             const char *log_path) {
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log_path,
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0) return -1;
    snprintf(below, sizeof below, "%s", directory);
    kinds = which;
    wanted = n;
    failure = error;
    told->n_counted = told->has_fired = 0;
    mode = (enum mode)how;
    return 0;
}

void shim_disarm(void) { mode = OFF; }
long shim_counted(void) { return told->n_counted; }
int shim_fired(void) { return (int)told->has_fired; }

static void die(void) {
    told->has_fired = 1;
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int is_below(const char *path) {
    size_t n = strlen(below);
    return strncmp(path, below, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* Where a descriptor leads; "" if that is no file. */
static void path_of(int fd, char path[PATH_MAX]) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, PATH_MAX - 1);
    path[n < 0 ? 0 : n] = 0;
}

/* An absolute path, or one of a descriptor, as a path. */
static void resolve(int dir, const char *path, char out[PATH_MAX]) {
    int fd, read = 0;
    if (sscanf(path, "/proc/self/fd/%d%n", &fd, &read) == 1 && path[read] == 0) {
        path_of(fd, out);
        return;
    }
    char base[PATH_MAX] = "";
    if (path[0] != '/') {
        if (dir != AT_FDCWD) path_of(dir, base);
        if (dir == AT_FDCWD && !getcwd(base, sizeof base)) base[0] = 0;
    }
    size_t n = (size_t)snprintf(out, PATH_MAX, "%s%s%s", base,
                                base[0] && path[0] ? "/" : "", path);
    if (n >= PATH_MAX) out[0] = 0;
    for (n = strlen(out); n > 1 && out[n - 1] == '/'; n--) out[n - 1] = 0;
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fd >= 0 && fstat(fd, &found) == 0 ? (uint64_t)found.st_ino : 0;
}

/* Write all of it to the log, with one system call, so that no kill tears an entry. */
static void put(const struct call *call, int64_t result, int error) {
    struct iovec parts[64];
    struct entry entry = {
        .kind = call->kind,
        .error = error,
        .result = result,
        .offset = call->offset,
        .flags = call->flags,
        .inode = call->inode,
        .path_bytes = (uint32_t)strlen(call->path),
        .other_bytes = (uint32_t)(call->other ? strlen(call->other) : 0),
        .data_bytes = call->kind == WRITE && result > 0 ? (uint64_t)result : 0,
    };
    int n = 0;
    parts[n++] = (struct iovec){&entry, sizeof entry};
    parts[n++] = (struct iovec){(void *)call->path, entry.path_bytes};
    parts[n++] = (struct iovec){(void *)call->other, entry.other_bytes};
    uint64_t left = entry.data_bytes;
    for (int i = 0; i < call->n_data && left && n < 64; i++) {
        size_t bytes = call->data[i].iov_len < left ? call->data[i].iov_len : left;
        parts[n++] = (struct iovec){call->data[i].iov_base, bytes};
        left -= bytes;
    }
    /* A log that cannot be written must not pass for a run without calls. */
    if (left || syscall(SYS_writev, log_fd, parts, n) < 0) abort();
}

/* Before a call, with the lock held: 1: make it, -1: it failed (errno is set),
 * 0: make half of it. */
static int before(const struct call *call) {
    if (!(kinds >> call->kind & 1)) return 1;
    long n = ++told->n_counted;
    if (mode == FAIL_FROM ? n < wanted : n != wanted) return 1;
    switch (mode) {
        case KILL_BEFORE: die(); return -1;
        case KILL_WITHIN: return call->kind == WRITE ? 0 : 1;
        case CUT: told->has_fired = 1; return call->kind == WRITE ? 0 : 1;
        case FAIL_ONCE:
        case FAIL_FROM:
            told->has_fired = 1;
            errno = failure;
            return -1;
        default: return 1;
    }
}

/* After it: log it, and perhaps die. */
static void after(const struct call *call, int64_t result) {
    int error = errno;
    put(call, result, result < 0 ? error : 0);
    int is_it = told->n_counted == wanted && (kinds >> call->kind & 1);
    if (is_it && (mode == KILL_AFTER || mode == KILL_WITHIN)) die();
    errno = error;
}

/* Make a call that is none of ours as it is, or one of ours between before() and
 * after(). `make` is an expression; it gives the result. */
#define GUARD(call, make)                                \
    do {                                                 \
        pthread_mutex_lock(&lock);                       \
        long result = before(&(call)) < 0 ? -1 : (make); \
        after(&(call), result);                          \
        int error = errno;                               \
        pthread_mutex_unlock(&lock);                     \
        errno = error;                                   \
        return result;                                   \
    } while (0)

static long do_open(int dir, const char *path, int flags, mode_t bits) {
    if (mode == OFF) return syscall(SYS_openat, dir, path, flags, bits);
    char full[PATH_MAX];
    resolve(dir, path, full);
    if (!is_below(full)) return syscall(SYS_openat, dir, path, flags, bits);
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    struct call call = {
        .kind = writes ? OPEN_WRITE : OPEN_READ, .path = full, .flags = flags};
    pthread_mutex_lock(&lock);
    long fd = before(&call) < 0 ? -1 : syscall(SYS_openat, dir, path, flags, bits);
    int error = errno;
    call.inode = inode_of((int)fd);
    errno = error;
    after(&call, fd);
    error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define OPEN_BITS(flags)                     \
    mode_t bits = 0;                         \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest;                        \
        va_start(rest, flags);               \
        bits = va_arg(rest, mode_t);         \
        va_end(rest);                        \
    }

int open(const char *path, int flags, ...) {
    OPEN_BITS(flags)
    return (int)do_open(AT_FDCWD, path, flags, bits);
}
int open64(const char *path, int flags, ...) {
    OPEN_BITS(flags)
    return (int)do_open(AT_FDCWD, path, flags, bits);
}
int openat(int dir, const char *path, int flags, ...) {
    OPEN_BITS(flags)
    return (int)do_open(dir, path, flags, bits);
}
int openat64(int dir, const char *path, int flags, ...) {
    OPEN_BITS(flags)
    return (int)do_open(dir, path, flags, bits);
}
int creat(const char *path, mode_t bits) {
    return (int)do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, bits);
}
int creat64(const char *path, mode_t bits) { return creat(path, bits); }
/* What calls become that were compiled with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags) {
    return (int)do_open(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags) { return __open_2(path, flags); }
int __openat_2(int dir, const char *path, int flags) {
    return (int)do_open(dir, path, flags, 0);
}
int __openat64_2(int dir, const char *path, int flags) {
    return __openat_2(dir, path, flags);
}

/* Fill in a call on a descriptor; 0: it is none of ours. */
static int on_file(struct call *call, int fd, char path[PATH_MAX]) {
    if (mode == OFF) return 0;
    int error = errno;
    path_of(fd, path);
    call->path = path;
    call->fd = fd;
    call->inode = inode_of(fd);
    errno = error;
    return is_below(path);
}

static long write_all(int fd, const struct iovec *data, int n_data, int64_t offset) {
    return offset < 0 ? syscall(SYS_writev, fd, data, n_data)
                      : syscall(SYS_pwritev, fd, data, n_data, offset, 0);
}

/* Half of the bytes, at least one. */
static long write_half(int fd, const struct iovec *data, int n_data, int64_t offset) {
    size_t bytes = 0;
    for (int i = 0; i < n_data; i++) bytes += data[i].iov_len;
    bytes = bytes > 1 ? bytes / 2 : bytes;
    struct iovec part[64];
    int n = 0;
    for (int i = 0; i < n_data && bytes && n < 64; i++, n++) {
        part[n] = data[i];
        if (part[n].iov_len > bytes) part[n].iov_len = bytes;
        bytes -= part[n].iov_len;
    }
    return write_all(fd, part, n, offset);
}

/* offset < 0: where the descriptor stands. */
static long do_write(int fd, const struct iovec *data, int n_data, int64_t offset) {
    char path[PATH_MAX];
    struct call call = {.kind = WRITE, .data = data, .n_data = n_data};
    if (!on_file(&call, fd, path)) return write_all(fd, data, n_data, offset);
    pthread_mutex_lock(&lock);
    call.offset = offset;
    if (offset < 0) {
        int appends = fcntl(fd, F_GETFL) & O_APPEND;
        struct stat found;
        call.offset =
            appends && fstat(fd, &found) == 0 ? found.st_size : lseek(fd, 0, SEEK_CUR);
    }
    int how = before(&call);
    long n = how < 0   ? -1
             : how > 0 ? write_all(fd, data, n_data, offset)
                       : write_half(fd, data, n_data, offset);
    after(&call, n);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return n;
}

ssize_t write(int fd, const void *data, size_t n) {
    if (mode == OFF) return syscall(SYS_write, fd, data, n);
    struct iovec one = {(void *)data, n};
    return do_write(fd, &one, 1, -1);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) {
    struct iovec one = {(void *)data, n};
    return do_write(fd, &one, 1, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset) {
    return pwrite(fd, data, n, offset);
}
ssize_t writev(int fd, const struct iovec *data, int n) {
    return do_write(fd, data, n, -1);
}
ssize_t pwritev(int fd, const struct iovec *data, int n, off_t offset) {
    return do_write(fd, data, n, offset);
}
ssize_t pwritev64(int fd, const struct iovec *data, int n, off64_t offset) {
    return do_write(fd, data, n, offset);
}

/* Copies within the kernel show no data: callers fall back to read and write. */
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t n,
                        unsigned flags) {
    struct call call = {0};
    char path[PATH_MAX];
    if (on_file(&call, out, path)) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_copy_file_range, in, from, out, to, n, flags);
}
ssize_t sendfile(int out, int in, off_t *from, size_t n) {
    struct call call = {0};
    char path[PATH_MAX];
    if (on_file(&call, out, path)) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_sendfile, out, in, from, n);
}
ssize_t sendfile64(int out, int in, off64_t *from, size_t n) {
    return sendfile(out, in, from, n);
}

int fsync(int fd) {
    char path[PATH_MAX];
    struct call call = {.kind = FSYNC};
    if (!on_file(&call, fd, path)) return (int)syscall(SYS_fsync, fd);
    GUARD(call, syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
    char path[PATH_MAX];
    struct call call = {.kind = FSYNC};
    if (!on_file(&call, fd, path)) return (int)syscall(SYS_fdatasync, fd);
    GUARD(call, syscall(SYS_fdatasync, fd));
}
int ftruncate(int fd, off_t size) {
    char path[PATH_MAX];
    struct call call = {.kind = TRUNCATE, .offset = size};
    if (!on_file(&call, fd, path)) return (int)syscall(SYS_ftruncate, fd, size);
    GUARD(call, syscall(SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }
int close(int fd) {
    char path[PATH_MAX];
    struct call call = {.kind = CLOSE};
    if (!on_file(&call, fd, path)) return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    /* The descriptor is gone also when close fails. */
    int how = before(&call), error = errno;
    long result = syscall(SYS_close, fd);
    if (how < 0) {
        errno = error;
        result = -1;
    }
    after(&call, result);
    error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return (int)result;
}

/* Names: one or two paths. */
#define ON_NAMES(which, dir, path, dir2, path2)                         \
    char full[PATH_MAX] = "", full2[PATH_MAX] = "";                     \
    struct call call = {.kind = (which), .path = full, .other = full2}; \
    if (mode != OFF) {                                                  \
        resolve(dir, path, full);                                       \
        if ((path2)[0]) resolve(dir2, path2, full2);                    \
    }                                                                   \
    int is_ours = mode != OFF && (is_below(full) || is_below(full2))

static int do_rename(int dir, const char *path, int dir2, const char *path2,
                     unsigned flags) {
    ON_NAMES(RENAME, dir, path, dir2, path2);
    call.flags = flags;
    if (!is_ours) return (int)syscall(SYS_renameat2, dir, path, dir2, path2, flags);
    GUARD(call, syscall(SYS_renameat2, dir, path, dir2, path2, flags));
}
int rename(const char *path, const char *path2) {
    return do_rename(AT_FDCWD, path, AT_FDCWD, path2, 0);
}
int renameat(int dir, const char *path, int dir2, const char *path2) {
    return do_rename(dir, path, dir2, path2, 0);
}
int renameat2(int dir, const char *path, int dir2, const char *path2, unsigned flags) {
    return do_rename(dir, path, dir2, path2, flags);
}

static int do_link(int dir, const char *path, int dir2, const char *path2, int flags) {
    ON_NAMES(LINK, dir, path, dir2, path2);
    call.flags = flags;
    if (!is_ours) return (int)syscall(SYS_linkat, dir, path, dir2, path2, flags);
    /* A file without a name is known by its number alone. */
    struct stat found;
    int error = errno;
    if (fstatat(dir, path, &found,
                flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW) == 0)
        call.inode = (uint64_t)found.st_ino;
    if (flags & AT_EMPTY_PATH && !path[0]) call.inode = inode_of(dir);
    errno = error;
    GUARD(call, syscall(SYS_linkat, dir, path, dir2, path2, flags));
}
int link(const char *path, const char *path2) {
    return do_link(AT_FDCWD, path, AT_FDCWD, path2, 0);
}
int linkat(int dir, const char *path, int dir2, const char *path2, int flags) {
    return do_link(dir, path, dir2, path2, flags);
}

static int do_unlink(int dir, const char *path, int flags) {
    ON_NAMES(flags & AT_REMOVEDIR ? RMDIR : UNLINK, dir, path, AT_FDCWD, "");
    if (!is_ours) return (int)syscall(SYS_unlinkat, dir, path, flags);
    GUARD(call, syscall(SYS_unlinkat, dir, path, flags));
}
int unlink(const char *path) { return do_unlink(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return do_unlink(AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int dir, const char *path, int flags) {
    return do_unlink(dir, path, flags);
}

int mkdirat(int dir, const char *path, mode_t bits) {
    ON_NAMES(MKDIR, dir, path, AT_FDCWD, "");
    if (!is_ours) return (int)syscall(SYS_mkdirat, dir, path, bits);
    GUARD(call, syscall(SYS_mkdirat, dir, path, bits));
}
int mkdir(const char *path, mode_t bits) { return mkdirat(AT_FDCWD, path, bits); }
