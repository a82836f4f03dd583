/* Makes one call to the disk below a folder fail in a process of its own (LD_PRELOAD): the CRASH_FAULT_AT-th of write, pwrite, fsync and
   ftruncate. CRASH_FAULT says how: full (that one and all later ones: no space), eio (that one: input/output error), short (half of it is
   written, and the next one fails). The file CRASH_FAULT_MARK is made when it happens; without a number it gets the number of calls at the
   end. Counts nothing outside of CRASH_FAULT_FOLDER. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum how { NEVER, FULL, EIO_ONCE, SHORT };

static const char *folder, *mark;
static long at;
static enum how how;
static atomic_long count, torn;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("CRASH_FAULT_AT"), *kind = getenv("CRASH_FAULT");
    folder = getenv("CRASH_FAULT_FOLDER");
    mark = getenv("CRASH_FAULT_MARK");
    at = text ? atol(text) : 0;
    if (kind && at > 0) how = !strcmp(kind, "full") ? FULL : !strcmp(kind, "eio") ? EIO_ONCE : !strcmp(kind, "short") ? SHORT : NEVER;
}

static void note(const char *text) {
    int fd = mark ? (int)syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY | O_TRUNC, 0600) : -1;
    if (fd >= 0) {
        syscall(SYS_write, fd, text, strlen(text));
        syscall(SYS_close, fd);
    }
}

__attribute__((destructor)) static void end(void) {
    char text[32];
    if (folder && how == NEVER) {
        snprintf(text, sizeof text, "%ld", atomic_load(&count));
        note(text);
    }
}

static int below(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    size_t prefix = strlen(folder);
    return !strncmp(path, folder, prefix) && path[prefix] == '/';
}

/* The errno of this call, 0 for none, -1 for half of it. */
static int fault(int fd, size_t size) {
    if (!below(fd)) return 0;
    long now = atomic_fetch_add(&count, 1) + 1;
    if (how == NEVER || now < at) return 0;
    if (now == at) note("failed");
    if (how == FULL) return ENOSPC;
    if (how == EIO_ONCE) return now == at ? EIO : 0;
    if (now == at) {
        if (size < 2) return EIO;
        atomic_store(&torn, 1);
        return -1;
    }
    return atomic_exchange(&torn, 0) ? EIO : 0;
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define WRITING(name, ...)                     \
    int failed = fault(fd, size);              \
    if (failed > 0) { errno = failed; return -1; } \
    if (failed < 0) size /= 2;                 \
    return real(__VA_ARGS__)

ssize_t write(int fd, const void *bytes, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    WRITING(write, fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    WRITING(pwrite64, fd, bytes, size, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    WRITING(pwrite, fd, bytes, size, offset);
}

#define FLUSHING(call)                         \
    int failed = fault(fd, 0);                 \
    if (failed > 0) { errno = failed; return -1; } \
    return call

int fsync(int fd) {
    REAL(int, fsync, int);
    FLUSHING(real(fd));
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    FLUSHING(real(fd));
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, ftruncate64, int, off64_t);
    FLUSHING(real(fd, size));
}

int ftruncate(int fd, off_t size) {
    REAL(int, ftruncate, int, off_t);
    FLUSHING(real(fd, size));
}
