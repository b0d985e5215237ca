/* Lets chosen I/O calls of a program fail, come short, kill it, take long, or lie.
 *
 * Preloaded (LD_PRELOAD); counts the calls that change files below CLAWD_FAULTS_FOLDER, logs and
 * sockets left out. Orders come through the shared file CLAWD_FAULTS_CONTROL, at any time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, RENAME = 8, TRUNCATE = 16, UNLINK = 32, MKDIR = 64 };
enum { NOTHING, ERROR, SHORT, TORN, KILL_BEFORE, KILL_AFTER };

/* The same, in the same order, in shim.py. */
static struct control {
    int64_t calls;      /* counted so far, of these kinds */
    int64_t at;         /* the call to strike, from 1; 0 for none */
    int64_t mode;       /* what happens to it */
    int64_t number;     /* errno of an ERROR */
    int64_t again;      /* 1: every later call is an ERROR too */
    int64_t kinds;      /* which calls count */
    int64_t fired;      /* how many were struck */
    int64_t delay;      /* microseconds that each sync takes longer */
    int64_t lie;        /* 1: a sync does nothing and says that all is well */
    int64_t distrusted; /* uses of a descriptor after its sync had failed */
} *control;

static const char *folder;
static size_t folder_length;
static volatile char failed[65536]; /* descriptors whose sync failed */

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLAWD_FAULTS_CONTROL");
    folder = getenv("CLAWD_FAULTS_FOLDER");
    if (!path || !folder) return;
    folder_length = strlen(folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED) control = shared;
}

static int watched(const char *path) {
    if (!control || !path || strncmp(path, folder, folder_length)) return 0;
    size_t length = strlen(path);
    return !strstr(path, "/logs/") && !(length > 4 && !strcmp(path + length - 4, ".err"));
}

static int watched_descriptor(int fd) {
    char link[64], path[PATH_MAX];
    if (!control || fd < 0) return 0;
    char *end = link + sizeof link - 1;
    *end = 0;
    unsigned rest = (unsigned)fd;
    do *--end = (char)('0' + rest % 10); while (rest /= 10);
    end -= 14;
    memcpy(end, "/proc/self/fd/", 14);
    int saved = errno;
    ssize_t length = readlink(end, path, sizeof path - 1);
    errno = saved;
    if (length <= 0) return 0;
    path[length] = 0;
    return watched(path);
}

__attribute__((noreturn)) static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* What is to happen to this call. */
static int fate(int kind, int is_watched) {
    if (!is_watched || !(control->kinds & kind)) return NOTHING;
    int64_t number = __atomic_add_fetch(&control->calls, 1, __ATOMIC_SEQ_CST);
    int64_t at = control->at;
    if (!at || number < at || (number > at && !control->again)) return NOTHING;
    __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
    int mode = number > at ? ERROR : (int)control->mode;
    if (mode == KILL_BEFORE || (mode == TORN && kind != WRITE)) die();
    if (mode == SHORT && kind != WRITE) return NOTHING;
    if (mode == ERROR) errno = (int)control->number;
    return mode;
}

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

#define PLAIN(kind, is_watched, call)               \
    switch (fate(kind, is_watched)) {               \
    case ERROR: return -1;                          \
    case KILL_AFTER: (void)!call; die();            \
    default: return call;                           \
    }

static void look_at(int fd) {
    if (control && fd >= 0 && fd < (int)sizeof failed && failed[fd])
        __atomic_add_fetch(&control->distrusted, 1, __ATOMIC_SEQ_CST);
}

ssize_t write(int fd, const void *data, size_t count) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = REAL(write);
    if (!watched_descriptor(fd)) return next(fd, data, count);
    look_at(fd);
    switch (fate(WRITE, 1)) {
    case ERROR: return -1;
    case SHORT: return next(fd, data, count > 1 ? count / 2 : count);
    case TORN: (void)!next(fd, data, count / 2); die();
    case KILL_AFTER: (void)!next(fd, data, count); die();
    default: return next(fd, data, count);
    }
}

static int sync_with(int (*next)(int), int fd) {
    if (!watched_descriptor(fd)) return next(fd);
    look_at(fd);
    if (control->delay) usleep((useconds_t)control->delay);
    switch (fate(SYNC, 1)) {
    case ERROR:
        if (fd < (int)sizeof failed) failed[fd] = 1;
        return -1;
    case KILL_AFTER: next(fd); die();
    default: return control->lie ? 0 : next(fd);
    }
}

int fsync(int fd) {
    static int (*next)(int);
    if (!next) next = REAL(fsync);
    return sync_with(next, fd);
}

int fdatasync(int fd) {
    static int (*next)(int);
    if (!next) next = REAL(fdatasync);
    return sync_with(next, fd);
}

int close(int fd) {
    static int (*next)(int);
    if (!next) next = REAL(close);
    if (fd >= 0 && fd < (int)sizeof failed) failed[fd] = 0;
    return next(fd);
}

#define CHANGES (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC)
#define MODE_OF(flags)                              \
    mode_t mode = 0;                                \
    if ((flags) & (O_CREAT | O_TMPFILE)) {          \
        va_list rest;                               \
        va_start(rest, flags);                      \
        mode = va_arg(rest, mode_t);                \
        va_end(rest);                               \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    PLAIN(OPEN, (flags & CHANGES) && watched(path), REAL(open)(path, flags, mode))
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    PLAIN(OPEN, (flags & CHANGES) && watched(path), REAL(open64)(path, flags, mode))
}

int rename(const char *from, const char *to) {
    PLAIN(RENAME, watched(to), REAL(rename)(from, to))
}

int ftruncate(int fd, off_t length) {
    look_at(fd);
    PLAIN(TRUNCATE, watched_descriptor(fd), REAL(ftruncate)(fd, length))
}

int ftruncate64(int fd, off64_t length) {
    look_at(fd);
    PLAIN(TRUNCATE, watched_descriptor(fd), REAL(ftruncate64)(fd, length))
}

int unlink(const char *path) { PLAIN(UNLINK, watched(path), REAL(unlink)(path)) }

int mkdir(const char *path, mode_t mode) { PLAIN(MKDIR, watched(path), REAL(mkdir)(path, mode)) }
