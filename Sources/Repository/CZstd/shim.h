#pragma once

#include <zstd.h>

/* Swift does not import these two macros, which cast negative numbers to unsigned ones. */

static inline unsigned long long holdfast_zstd_size_unknown(void) {
    return ZSTD_CONTENTSIZE_UNKNOWN;
}

static inline unsigned long long holdfast_zstd_size_error(void) {
    return ZSTD_CONTENTSIZE_ERROR;
}
