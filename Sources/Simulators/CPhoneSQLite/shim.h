#pragma once

#include <sqlite3.h>

// Swift does not import SQLITE_TRANSIENT, a cast: SQLite copies the bytes before it returns.
static inline int phone_sqlite_bind_text(sqlite3_stmt *statement, int index, const char *bytes,
                                         int count) {
    return sqlite3_bind_text(statement, index, bytes, count, SQLITE_TRANSIENT);
}

static inline int phone_sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *bytes,
                                         int count) {
    return sqlite3_bind_blob(statement, index, bytes, count, SQLITE_TRANSIENT);
}
