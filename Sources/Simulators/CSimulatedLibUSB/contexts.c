// Contexts, options, locks of the event loop and the library's words.
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "library.h"

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static libusb_context *default_context;

static libusb_context *make_context(void) {
    libusb_context *context = calloc(1, sizeof *context);
    if (context == NULL) return NULL;
    context->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (context->wake_fd < 0) {
        free(context);
        return NULL;
    }
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&context->changed, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&context->event_lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&context->lock, NULL);
    context->references = 1;
    return context;
}

static void free_context(libusb_context *context) {
    pthread_cond_destroy(&context->changed);
    pthread_mutex_destroy(&context->event_lock);
    pthread_mutex_destroy(&context->lock);
    close(context->wake_fd);
    free(context);
}

libusb_context *context_or_default(libusb_context *context) {
    if (context != NULL) return context;
    pthread_mutex_lock(&default_lock);
    if (default_context == NULL) default_context = make_context();
    libusb_context *found = default_context;
    pthread_mutex_unlock(&default_lock);
    // Without memory for a lock nothing below could be right.
    if (found == NULL) abort();
    return found;
}

int libusb_init(libusb_context **result) {
    if (result == NULL) {
        pthread_mutex_lock(&default_lock);
        if (default_context != NULL) {
            default_context->references++;
        } else {
            default_context = make_context();
        }
        bool made = default_context != NULL;
        pthread_mutex_unlock(&default_lock);
        return made ? LIBUSB_SUCCESS : LIBUSB_ERROR_NO_MEM;
    }
    *result = make_context();
    return *result == NULL ? LIBUSB_ERROR_NO_MEM : LIBUSB_SUCCESS;
}

void libusb_exit(libusb_context *context) {
    if (context == NULL) {
        pthread_mutex_lock(&default_lock);
        context = default_context;
        if (context != NULL && --context->references > 0) context = NULL;
        if (context != NULL) default_context = NULL;
        pthread_mutex_unlock(&default_lock);
        if (context == NULL) return;
    }
    free_context(context);
}

const struct libusb_version *libusb_get_version(void) {
    static const struct libusb_version version = {1, 0, 26, 11724, "", "holdfast USB/IP"};
    return &version;
}

int libusb_has_capability(uint32_t capability) { return capability == LIBUSB_CAP_HAS_CAPABILITY; }

void libusb_set_debug(libusb_context *context, int level) {
    (void)context;
    (void)level;
}

void libusb_set_log_cb(libusb_context *context, libusb_log_cb callback, int mode) {
    (void)context;
    (void)callback;
    (void)mode;
}

int libusb_set_option(libusb_context *context, enum libusb_option option, ...) {
    (void)context;
    return option == LIBUSB_OPTION_LOG_LEVEL || option == LIBUSB_OPTION_NO_DEVICE_DISCOVERY
        ? LIBUSB_SUCCESS
        : LIBUSB_ERROR_NOT_SUPPORTED;
}

int libusb_setlocale(const char *locale) {
    return locale == NULL ? LIBUSB_ERROR_INVALID_PARAM : LIBUSB_SUCCESS;
}

struct error_text {
    int code;
    const char *name;
    const char *text;
};

static const struct error_text error_texts[] = {
    {LIBUSB_SUCCESS, "LIBUSB_SUCCESS", "Success"},
    {LIBUSB_ERROR_IO, "LIBUSB_ERROR_IO", "Input/Output Error"},
    {LIBUSB_ERROR_INVALID_PARAM, "LIBUSB_ERROR_INVALID_PARAM", "Invalid parameter"},
    {LIBUSB_ERROR_ACCESS, "LIBUSB_ERROR_ACCESS", "Access denied (insufficient permissions)"},
    {LIBUSB_ERROR_NO_DEVICE, "LIBUSB_ERROR_NO_DEVICE", "No such device (it may have been disconnected)"},
    {LIBUSB_ERROR_NOT_FOUND, "LIBUSB_ERROR_NOT_FOUND", "Entity not found"},
    {LIBUSB_ERROR_BUSY, "LIBUSB_ERROR_BUSY", "Resource busy"},
    {LIBUSB_ERROR_TIMEOUT, "LIBUSB_ERROR_TIMEOUT", "Operation timed out"},
    {LIBUSB_ERROR_OVERFLOW, "LIBUSB_ERROR_OVERFLOW", "Overflow"},
    {LIBUSB_ERROR_PIPE, "LIBUSB_ERROR_PIPE", "Pipe error"},
    {LIBUSB_ERROR_INTERRUPTED, "LIBUSB_ERROR_INTERRUPTED", "System call interrupted"},
    {LIBUSB_ERROR_NO_MEM, "LIBUSB_ERROR_NO_MEM", "Insufficient memory"},
    {LIBUSB_ERROR_NOT_SUPPORTED, "LIBUSB_ERROR_NOT_SUPPORTED", "Operation not supported"},
    {LIBUSB_ERROR_OTHER, "LIBUSB_ERROR_OTHER", "Other error"},
};

static const struct error_text *error_text(int code) {
    for (size_t i = 0; i < sizeof error_texts / sizeof error_texts[0]; i++) {
        if (error_texts[i].code == code) return &error_texts[i];
    }
    return NULL;
}

const char *libusb_error_name(int code) {
    const struct error_text *found = error_text(code);
    return found == NULL ? "**UNKNOWN**" : found->name;
}

const char *libusb_strerror(int code) {
    const struct error_text *found = error_text(code);
    return found == NULL ? "Unknown error" : found->text;
}

// MARK: the event loop's outer lock, which libusb lets a program hold while it polls

int libusb_try_lock_events(libusb_context *context) {
    return pthread_mutex_trylock(&context_or_default(context)->event_lock) == 0 ? 0 : 1;
}

void libusb_lock_events(libusb_context *context) {
    pthread_mutex_lock(&context_or_default(context)->event_lock);
}

void libusb_unlock_events(libusb_context *context) {
    pthread_mutex_unlock(&context_or_default(context)->event_lock);
}

int libusb_event_handling_ok(libusb_context *context) {
    (void)context;
    return 1;
}

int libusb_event_handler_active(libusb_context *context) {
    (void)context;
    return 1;
}

void libusb_lock_event_waiters(libusb_context *context) { libusb_lock_events(context); }

void libusb_unlock_event_waiters(libusb_context *context) { libusb_unlock_events(context); }

const struct libusb_pollfd **libusb_get_pollfds(libusb_context *context) {
    context = context_or_default(context);
    const struct libusb_pollfd **list = calloc(2, sizeof *list);
    struct libusb_pollfd *wake = calloc(1, sizeof *wake);
    if (list == NULL || wake == NULL) {
        free(list);
        free(wake);
        return NULL;
    }
    wake->fd = context->wake_fd;
    wake->events = POLLIN;
    list[0] = wake;
    return list;
}

void libusb_free_pollfds(const struct libusb_pollfd **list) {
    if (list == NULL) return;
    for (const struct libusb_pollfd **at = list; *at != NULL; at++) free((void *)(uintptr_t)*at);
    free((void *)(uintptr_t)list);
}

void libusb_set_pollfd_notifiers(libusb_context *context, libusb_pollfd_added_cb added,
                                 libusb_pollfd_removed_cb removed, void *user_data) {
    (void)context;
    (void)added;
    (void)removed;
    (void)user_data;
}

// MARK: hotplug, which libusb allows a platform not to have

int libusb_hotplug_register_callback(libusb_context *context, int events, int flags, int vendor,
                                     int product, int class, libusb_hotplug_callback_fn callback,
                                     void *user_data, libusb_hotplug_callback_handle *handle) {
    (void)context;
    (void)events;
    (void)flags;
    (void)vendor;
    (void)product;
    (void)class;
    (void)callback;
    (void)user_data;
    (void)handle;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}

void libusb_hotplug_deregister_callback(libusb_context *context,
                                        libusb_hotplug_callback_handle handle) {
    (void)context;
    (void)handle;
}

void *libusb_hotplug_get_user_data(libusb_context *context, libusb_hotplug_callback_handle handle) {
    (void)context;
    (void)handle;
    return NULL;
}
