/* A network folder that is away: preloaded into a process, it makes calls on files fail.
 *
 * AWAY_BELOW   the folder, an absolute path
 * AWAY_WHILE   a file; while it is there, calls fail with the error number that it holds, and those in AWAY_CALLS only
 * AWAY_CALLS   "read", "write" or "all"; "content" lets files be found and opened, but not read
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Returns the error number with which a call of this kind fails now, or 0. */
static int trouble(const char *kind) {
    const char *calls = getenv("AWAY_CALLS"), *marker = getenv("AWAY_WHILE");
    if (!calls || !marker || (strcmp(calls, "all") && strcmp(calls, kind))) return 0;
    int handle = REAL(open)(marker, O_RDONLY);
    if (handle < 0) return 0;
    char text[16] = {0};
    ssize_t n = REAL(read)(handle, text, sizeof text - 1);
    close(handle);
    return n > 0 ? atoi(text) : 0;
}

static int is_below(const char *path) {
    const char *folder = getenv("AWAY_BELOW");
    return folder && path && !strncmp(path, folder, strlen(folder));
}

static int fails_at(const char *path, const char *kind) {
    int saved = errno, number = is_below(path) ? trouble(kind) : 0;
    errno = number ? number : saved;
    return number;
}

static int fails_on(int handle, const char *kind) {
    char link[32], path[4096];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (n <= 0) return 0;
    path[n] = 0;
    return fails_at(path, kind);
}

#define MODE(flags) mode_t mode = 0; if ((flags) & O_CREAT) { va_list a; va_start(a, flags); mode = va_arg(a, mode_t); va_end(a); }
#define KIND(flags) ((flags) & (O_CREAT | O_WRONLY | O_RDWR) ? "write" : "read")

int open(const char *path, int flags, ...) { MODE(flags) return fails_at(path, KIND(flags)) ? -1 : REAL(open)(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return fails_at(path, KIND(flags)) ? -1 : REAL(open64)(path, flags, mode); }
static int unread(int h) { return fails_on(h, "read") || fails_on(h, "content"); }
ssize_t read(int h, void *to, size_t n) { return unread(h) ? -1 : REAL(read)(h, to, n); }
ssize_t pread(int h, void *to, size_t n, off_t at) { return unread(h) ? -1 : REAL(pread)(h, to, n, at); }
ssize_t pread64(int h, void *to, size_t n, off64_t at) { return unread(h) ? -1 : REAL(pread64)(h, to, n, at); }
ssize_t write(int h, const void *from, size_t n) { return fails_on(h, "write") ? -1 : REAL(write)(h, from, n); }
ssize_t pwrite(int h, const void *from, size_t n, off_t at) { return fails_on(h, "write") ? -1 : REAL(pwrite)(h, from, n, at); }
ssize_t pwrite64(int h, const void *from, size_t n, off64_t at) { return fails_on(h, "write") ? -1 : REAL(pwrite64)(h, from, n, at); }
int fsync(int h) { return fails_on(h, "write") ? -1 : REAL(fsync)(h); }
int fdatasync(int h) { return fails_on(h, "write") ? -1 : REAL(fdatasync)(h); }
int rename(const char *from, const char *to) { return fails_at(to, "write") ? -1 : REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { return fails_at(path, "write") ? -1 : REAL(mkdir)(path, mode); }
int unlink(const char *path) { return fails_at(path, "write") ? -1 : REAL(unlink)(path); }
int stat(const char *path, struct stat *to) { return fails_at(path, "read") ? -1 : REAL(stat)(path, to); }
int stat64(const char *path, struct stat64 *to) { return fails_at(path, "read") ? -1 : REAL(stat64)(path, to); }
int lstat(const char *path, struct stat *to) { return fails_at(path, "read") ? -1 : REAL(lstat)(path, to); }
int lstat64(const char *path, struct stat64 *to) { return fails_at(path, "read") ? -1 : REAL(lstat64)(path, to); }
int fstatat(int h, const char *path, struct stat *to, int flags) { return fails_at(path, "read") ? -1 : REAL(fstatat)(h, path, to, flags); }
int fstatat64(int h, const char *path, struct stat64 *to, int flags) { return fails_at(path, "read") ? -1 : REAL(fstatat64)(h, path, to, flags); }
