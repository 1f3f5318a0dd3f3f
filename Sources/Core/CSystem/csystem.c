#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int holdfast_openat(int directory, const char *path, int flags, unsigned int mode) {
    return openat(directory, path, flags, mode);
}

int holdfast_open_beneath(int directory, const char *path, int flags, unsigned int mode) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(unsigned)flags;
    how.mode = (flags & O_CREAT) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int holdfast_rename_noreplace(int from_directory, const char *from, int to_directory,
                              const char *to) {
    return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}

int holdfast_fcntl(int descriptor, int command, int argument) {
    return fcntl(descriptor, command, argument);
}

int holdfast_syncfs(int descriptor) { return syncfs(descriptor); }

void holdfast_read_idly(void) {
    // Which: 1 is one thread, 0 the caller. Class 3 is idle. glibc has no wrapper or constants.
    syscall(SYS_ioprio_set, 1, 0, 3 << 13);
}

int holdfast_wait_written(int descriptor) {
    return sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                                 SYNC_FILE_RANGE_WAIT_AFTER);
}

int holdfast_spawn_worker(const char *path, char *const arguments[], int descriptor) {
    // Everything the child needs is made before the fork: between fork and exec only
    // async-signal-safe calls are allowed, because other threads may hold locks.
    size_t count = 0;
    while (environ[count]) count++;
    char **environment = malloc((count + 2) * sizeof *environment);
    if (!environment) return -1;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        // A worker may be taken over by a phone: recovery words are nothing for it.
        if (strncmp(environ[i], "TZ=", 3) == 0 || strncmp(environ[i], "HOLDFAST_WORDS=", 15) == 0)
            continue;
        environment[kept++] = environ[i];
    }
    environment[kept++] = "TZ=UTC";
    environment[kept] = NULL;

    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child == 0) {
        for (int number = 1; number < 65; number++) signal(number, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        // A terminal's Ctrl-C must reach the parent only: it decides how the session ends.
        setpgid(0, 0);
        // What C libraries print holds the phone's own words: none of it may reach a terminal.
        int null = open("/dev/null", O_RDWR);
        if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(127);
        if (descriptor != 3 && dup2(descriptor, 3) < 0) _exit(127);
        if (descriptor == 3) fcntl(3, F_SETFD, 0);
        syscall(SYS_close_range, 4u, ~0u, 0u);
        execve(path, arguments, environment);
        _exit(127);
    }
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(environment);
    errno = error;
    return child;
}

void holdfast_name_thread(const char *name) {
    char short_name[16];
    snprintf(short_name, sizeof short_name, "%s", name);
    pthread_setname_np(pthread_self(), short_name);
}

void holdfast_prefer_huge_pages(void *memory, size_t byte_count) {
    if (!memory) return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)memory + byte_count) / page * page;
    // Advice only: without large pages the memory serves as well.
    if (start < end) madvise((void *)start, end - start, MADV_HUGEPAGE);
}

void holdfast_limit_allocator(void) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}
