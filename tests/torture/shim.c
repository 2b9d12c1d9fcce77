/* Writes down, in order, everything a program does to the files of one folder, and the syncs between.
 *
 * Preloaded before the program's own C library (LD_PRELOAD). CHATBILL_DISK names the folder, CHATBILL_TAPE the file
 * that takes the record. One lock around each call keeps the record in the order of the events.
 *
 * A record is: op, name length, data length (64 bits each), offset (64 bits), then the file's name and the data.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *names[FILES];
static char disk[PATH_MAX];
static int tape = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void put(const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        ssize_t done = REAL(write)(tape, at, size);
        if (done <= 0) abort();
        at += done;
        size -= (size_t)done;
    }
}

static void record(char op, const char *name, const void *data, size_t size, uint64_t offset) {
    uint64_t head[4] = {(uint64_t)op, strlen(name), size, offset};
    put(head, sizeof head);
    put(name, strlen(name));
    if (data) put(data, size);
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("CHATBILL_DISK"), *path = getenv("CHATBILL_TAPE");
    if (!folder || !path || !realpath(folder, disk)) return;
    tape = REAL(open64)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The name within the folder; "" is the folder itself, NULL anything else. */
static const char *inside(const char *path) {
    size_t length = strlen(disk);
    if (tape < 0 || !path || strncmp(path, disk, length)) return NULL;
    if (!path[length]) return "";
    return path[length] == '/' ? path + length + 1 : NULL;
}

static const char *of(int fd) { return tape >= 0 && fd >= 0 && fd < FILES ? names[fd] : NULL; }

static int opened(int fd, const char *path, int flags, int existed) {
    const char *name = inside(path);
    if (fd < 0 || fd >= FILES || !name) return fd;
    free(names[fd]);
    names[fd] = strdup(name);
    if (*name && (flags & O_CREAT) && !existed) record('C', name, NULL, 0, 0);
    if (*name && (flags & O_TRUNC)) record('T', name, NULL, 0, 0);
    return fd;
}

#define OPEN(symbol)                                                                 \
    int symbol(const char *path, int flags, ...) {                                   \
        va_list more;                                                                \
        va_start(more, flags);                                                       \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;    \
        va_end(more);                                                                \
        pthread_mutex_lock(&lock);                                                   \
        int existed = !access(path, F_OK);                                           \
        int fd = opened(REAL(symbol)(path, flags, mode), path, flags, existed);      \
        pthread_mutex_unlock(&lock);                                                 \
        return fd;                                                                   \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (of(fd)) {
        free(names[fd]);
        names[fd] = NULL;
    }
    int result = REAL(close)(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

static ssize_t wrote(int fd, const void *data, ssize_t done, off64_t offset) {
    if (done > 0 && of(fd)) record('W', names[fd], data, (size_t)done, (uint64_t)offset);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    if (!of(fd)) return REAL(write)(fd, data, size);
    pthread_mutex_lock(&lock);
    off64_t offset = lseek64(fd, 0, SEEK_CUR);
    if (fcntl(fd, F_GETFL) & O_APPEND) offset = lseek64(fd, 0, SEEK_END);
    ssize_t done = wrote(fd, data, REAL(write)(fd, data, size), offset);
    pthread_mutex_unlock(&lock);
    return done;
}

#define PWRITE(symbol, type)                                                         \
    ssize_t symbol(int fd, const void *data, size_t size, type offset) {             \
        pthread_mutex_lock(&lock);                                                   \
        ssize_t done = wrote(fd, data, REAL(symbol)(fd, data, size, offset), offset); \
        pthread_mutex_unlock(&lock);                                                 \
        return done;                                                                 \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(symbol, type)                                                       \
    int symbol(int fd, type size) {                                                  \
        pthread_mutex_lock(&lock);                                                   \
        int result = REAL(symbol)(fd, size);                                         \
        if (!result && of(fd)) record('T', names[fd], NULL, 0, (uint64_t)size);      \
        pthread_mutex_unlock(&lock);                                                 \
        return result;                                                               \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(symbol)                                                                 \
    int symbol(int fd) {                                                             \
        pthread_mutex_lock(&lock);                                                   \
        int result = REAL(symbol)(fd);                                               \
        if (!result && of(fd)) record('S', names[fd], NULL, 0, 0);                   \
        pthread_mutex_unlock(&lock);                                                 \
        return result;                                                               \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int result = REAL(unlink)(path);
    const char *name = inside(path);
    if (!result && name) record('U', name, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int result = REAL(rename)(from, to);
    const char *old = inside(from), *new = inside(to);
    if (!result && old && new) record('R', old, new, strlen(new), 0);
    pthread_mutex_unlock(&lock);
    return result;
}
