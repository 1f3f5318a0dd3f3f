// System calls that Swift cannot import: variadic ones, and ones the Glibc module leaves out.
#pragma once

#include <stddef.h>

/// openat(2) with a mode. Returns a descriptor, or -1 with errno.
int holdfast_openat(int directory, const char *path, int flags, unsigned int mode);

/// openat2(2) that stays beneath `directory` and follows no symbolic link.
int holdfast_open_beneath(int directory, const char *path, int flags, unsigned int mode);

/// renameat2(2) with RENAME_NOREPLACE: fails with EEXIST instead of replacing.
int holdfast_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to);

/// fcntl(2) with an integer argument.
int holdfast_fcntl(int descriptor, int command, int argument);

/// syncfs(2) of the filesystem that holds `descriptor`.
int holdfast_syncfs(int descriptor);

/// Puts the calling thread's reads and writes into the idle class, as ionice(1) does; where that is
/// not allowed nothing changes.
void holdfast_read_idly(void);

/// sync_file_range(2) over a whole file: its pages are written out, which makes nothing durable.
int holdfast_wait_written(int descriptor);

/// Starts `path` with `arguments` (NULL-terminated) and this process's environment plus TZ=UTC and
/// less HOLDFAST_WORDS, in
/// a process group of its own. `descriptor` (which must not be 0 to 2) becomes the child's
/// descriptor 3; 0 to 2 are /dev/null, all above 3 are closed, signals are set to their defaults.
/// Returns the pid, or -1 with errno.
int holdfast_spawn_worker(const char *path, char *const arguments[], int descriptor);

/// Names the calling thread; at most 15 bytes are used.
void holdfast_name_thread(const char *name);

/// Asks for large pages for memory that will be filled from its start; `memory` may be NULL.
void holdfast_prefer_huge_pages(void *memory, size_t byte_count);

/// Bounds what glibc holds on to, at the start of a program and before its threads: no thread has
/// an arena of its own, and the buffers of packs (16 MiB) and chunks are used again instead of
/// being given back and cleared by the system for the next one, up to 64 MiB of them.
void holdfast_limit_allocator(void);
