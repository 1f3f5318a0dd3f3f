// libmtp, and the one thing Swift cannot do for it: put a stream of our own in the place of the C
// library's `stdout` or `stderr`.
#pragma once

#include <libmtp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

// Declared here because the C library hides them without _GNU_SOURCE, and a module cannot know
// what was defined when <stdio.h> was first read (fopencookie(3)).
typedef struct {
    ssize_t (*read)(void *, char *, size_t);
    ssize_t (*write)(void *, const char *, size_t);
    int (*seek)(void *, long *, int);
    int (*close)(void *);
} holdfast_cookie_functions;

FILE *holdfast_fopencookie(void *cookie, const char *mode, holdfast_cookie_functions functions)
    __asm__("fopencookie");

/// Sends what libmtp prints to `write` from now on, line by line: its transaction log goes to
/// stdout (`errors` 0), its complaints to stderr (`errors` 1). Returns 0, or -1 without memory.
/// For a process that prints nothing itself.
static inline int holdfast_mtp_divert(
    int errors, void *context, ssize_t (*write)(void *, const char *, size_t)) {
    holdfast_cookie_functions functions = {NULL, write, NULL, NULL};
    FILE *stream = holdfast_fopencookie(context, "w", functions);
    if (!stream) return -1;
    setvbuf(stream, NULL, _IOLBF, 4096);
    if (errors) {
        stderr = stream;
    } else {
        stdout = stream;
    }
    return 0;
}

/// Hands over what was printed and not yet ended by a newline.
static inline void holdfast_mtp_flush(void) {
    fflush(stdout);
    fflush(stderr);
}
