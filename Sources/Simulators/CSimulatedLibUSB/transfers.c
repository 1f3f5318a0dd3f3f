// Transfers: submitted on the caller's thread, answered and given back in libusb's event loop, so
// that callbacks run where a program expects them. There is no thread of our own, because a
// program may open a device, fork and go on in the child (jmtpfs does).
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "library.h"

int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct transfer_record *record_of(struct libusb_transfer *transfer) {
    return (struct transfer_record *)(void *)((uint8_t *)transfer
                                              - offsetof(struct transfer_record, transfer));
}

struct libusb_transfer *libusb_alloc_transfer(int iso_packets) {
    if (iso_packets < 0 || iso_packets > 1024) return NULL;
    size_t extra = (size_t)iso_packets * sizeof(struct libusb_iso_packet_descriptor);
    struct transfer_record *record = calloc(1, sizeof *record + extra);
    return record == NULL ? NULL : &record->transfer;
}

void libusb_free_transfer(struct libusb_transfer *transfer) {
    if (transfer == NULL) return;
    if (transfer->flags & LIBUSB_TRANSFER_FREE_BUFFER) free(transfer->buffer);
    free(record_of(transfer));
}

void libusb_transfer_set_stream_id(struct libusb_transfer *transfer, uint32_t stream) {
    record_of(transfer)->stream = stream;
}

uint32_t libusb_transfer_get_stream_id(struct libusb_transfer *transfer) {
    return record_of(transfer)->stream;
}

// MARK: lists of the context, all under its lock

static void remove_active(libusb_context *context, struct transfer_record *record) {
    if (record->previous != NULL) {
        record->previous->next = record->next;
    } else {
        context->active = record->next;
    }
    if (record->next != NULL) record->next->previous = record->previous;
    record->previous = record->next = NULL;
}

static void add_active(libusb_context *context, struct transfer_record *record) {
    record->previous = NULL;
    record->next = context->active;
    if (context->active != NULL) context->active->previous = record;
    context->active = record;
    record->state = RECORD_ACTIVE;
}

static void finish(libusb_context *context, struct transfer_record *record,
                   enum libusb_transfer_status status) {
    remove_active(context, record);
    record->state = RECORD_DONE;
    record->transfer.status = status;
    if (context->done_last != NULL) {
        context->done_last->next = record;
    } else {
        context->done_first = record;
    }
    context->done_last = record;
    wake(context);
    pthread_cond_broadcast(&context->changed);
}

static struct transfer_record *find_active(libusb_context *context, libusb_device_handle *handle,
                                           uint32_t sequence, bool unlink) {
    for (struct transfer_record *at = context->active; at != NULL; at = at->next) {
        if (at->handle != handle) continue;
        if (unlink ? (at->unlink_sent && at->unlink_sequence == sequence)
                   : at->sequence == sequence) {
            return at;
        }
    }
    return NULL;
}

// MARK: answers

static enum libusb_transfer_status status_of(int32_t status, bool timed_out) {
    switch (status) {
    case 0: return LIBUSB_TRANSFER_COMPLETED;
    case -ECONNRESET:
    case -ENOENT: return timed_out ? LIBUSB_TRANSFER_TIMED_OUT : LIBUSB_TRANSFER_CANCELLED;
    case -EPIPE: return LIBUSB_TRANSFER_STALL;
    case -EOVERFLOW: return LIBUSB_TRANSFER_OVERFLOW;
    case -ESHUTDOWN:
    case -ENODEV: return LIBUSB_TRANSFER_NO_DEVICE;
    default: return LIBUSB_TRANSFER_ERROR;
    }
}

// Reads bytes nobody waits for any more.
static int discard(int fd, uint32_t count) {
    uint8_t bytes[4096];
    while (count > 0) {
        uint32_t now = count < sizeof bytes ? count : (uint32_t)sizeof bytes;
        if (wire_receive_all(fd, bytes, now) < 0) return -1;
        count -= now;
    }
    return 0;
}

static int read_submit_reply(libusb_device_handle *handle, const uint8_t *header) {
    libusb_context *context = handle->context;
    int32_t status = (int32_t)wire_get32(header + 20);
    uint32_t actual = wire_get32(header + 24);
    pthread_mutex_lock(&context->lock);
    struct transfer_record *record =
        find_active(context, handle, wire_get32(header + 4), false);
    // From here on the record stays: only the reading thread finishes what it receives.
    if (record != NULL) record->receiving = true;
    pthread_mutex_unlock(&context->lock);
    if (record == NULL) return discard(handle->fd, 0);
    struct libusb_transfer *transfer = &record->transfer;
    bool control = transfer->type == LIBUSB_TRANSFER_TYPE_CONTROL;
    bool in = control ? (transfer->buffer[0] & 0x80) != 0 : (transfer->endpoint & 0x80) != 0;
    uint8_t *target = transfer->buffer + (control ? LIBUSB_CONTROL_SETUP_SIZE : 0);
    uint32_t room = (uint32_t)(transfer->length - (control ? LIBUSB_CONTROL_SETUP_SIZE : 0));
    uint32_t kept = actual < room ? actual : room;
    int result = 0;
    if (in) {
        result = kept > 0 ? wire_receive_all(handle->fd, target, kept) : 0;
        if (result == 0 && actual > kept) result = discard(handle->fd, actual - kept);
        if (actual > kept && status == 0) status = -EOVERFLOW;
    }
    pthread_mutex_lock(&context->lock);
    record->receiving = false;
    transfer->actual_length = (int)kept;
    enum libusb_transfer_status ended = status_of(status, record->timed_out);
    if (result < 0) ended = LIBUSB_TRANSFER_NO_DEVICE;
    if (ended == LIBUSB_TRANSFER_COMPLETED && kept < room
        && (transfer->flags & LIBUSB_TRANSFER_SHORT_NOT_OK)) {
        ended = LIBUSB_TRANSFER_ERROR;
    }
    if (ended == LIBUSB_TRANSFER_NO_DEVICE) handle->gone = true;
    finish(context, record, ended);
    pthread_mutex_unlock(&context->lock);
    return result;
}

static void read_unlink_reply(libusb_device_handle *handle, const uint8_t *header) {
    libusb_context *context = handle->context;
    pthread_mutex_lock(&context->lock);
    struct transfer_record *record =
        find_active(context, handle, wire_get32(header + 4), true);
    // Status 0 says that the URB had been answered already; then it is no longer active here.
    if (record != NULL) {
        finish(context, record, status_of(-ECONNRESET, record->timed_out));
    }
    pthread_mutex_unlock(&context->lock);
}

// The connection ended: so does everything that waits on it.
static void end_connection(libusb_device_handle *handle) {
    libusb_context *context = handle->context;
    pthread_mutex_lock(&context->lock);
    handle->gone = true;
    finish_all(context, handle);
    pthread_mutex_unlock(&context->lock);
}

void finish_all(libusb_context *context, libusb_device_handle *handle) {
    struct transfer_record *at = context->active;
    while (at != NULL) {
        struct transfer_record *next = at->next;
        if (at->handle == handle) finish(context, at, LIBUSB_TRANSFER_NO_DEVICE);
        at = next;
    }
}

static void read_message(libusb_device_handle *handle) {
    uint8_t header[USBIP_HEADER_SIZE];
    int result = wire_receive_all(handle->fd, header, sizeof header);
    if (result == 0) {
        uint32_t command = wire_get32(header);
        if (command == USBIP_RET_SUBMIT) {
            result = read_submit_reply(handle, header);
        } else if (command == USBIP_RET_UNLINK) {
            read_unlink_reply(handle, header);
        } else {
            result = -1;
        }
    }
    if (result < 0) end_connection(handle);
}

// Reads what the devices of the context sent, waiting until `deadline` for the first of it.
// One thread at a time does this; the lock is held on entry and on return.
static void read_messages(libusb_context *context, int64_t deadline) {
    struct pollfd polled[MAX_HANDLES + 1];
    libusb_device_handle *handles[MAX_HANDLES];
    nfds_t count = 0;
    for (libusb_device_handle *at = context->handles; at != NULL; at = at->next) {
        if (at->gone || count == MAX_HANDLES) continue;
        polled[count] = (struct pollfd){.fd = at->fd, .events = POLLIN};
        handles[count++] = at;
    }
    polled[count] = (struct pollfd){.fd = context->wake_fd, .events = POLLIN};
    context->reading = true;
    pthread_mutex_unlock(&context->lock);
    int64_t left = deadline - now_ms();
    int ready = poll(polled, count + 1, left > 0 ? (int)left : 0);
    for (nfds_t i = 0; ready > 0 && i < count; i++) {
        if (polled[i].revents != 0) read_message(handles[i]);
    }
    pthread_mutex_lock(&context->lock);
    context->reading = false;
    pthread_cond_broadcast(&context->changed);
}

void wake(libusb_context *context) {
    uint64_t one = 1;
    ssize_t ignored = write(context->wake_fd, &one, sizeof one);
    (void)ignored;
}

static void clear_wake(libusb_context *context) {
    uint64_t value;
    ssize_t ignored = read(context->wake_fd, &value, sizeof value);
    (void)ignored;
}

// MARK: submitting and cancelling

static int send_submit(libusb_device_handle *handle, struct transfer_record *record) {
    struct libusb_transfer *transfer = &record->transfer;
    bool control = transfer->type == LIBUSB_TRANSFER_TYPE_CONTROL;
    uint8_t *data = transfer->buffer;
    uint32_t length = (uint32_t)transfer->length;
    uint8_t header[USBIP_HEADER_SIZE] = {0};
    bool in = (transfer->endpoint & 0x80) != 0;
    if (control) {
        memcpy(header + 40, transfer->buffer, LIBUSB_CONTROL_SETUP_SIZE);
        in = (transfer->buffer[0] & 0x80) != 0;
        data += LIBUSB_CONTROL_SETUP_SIZE;
        length -= LIBUSB_CONTROL_SETUP_SIZE;
    }
    wire_put32(header, USBIP_CMD_SUBMIT);
    wire_put32(header + 4, record->sequence);
    wire_put32(header + 8, handle->devid);
    wire_put32(header + 12, in ? 1 : 0);
    wire_put32(header + 16, transfer->endpoint & 0x0F);
    if (transfer->flags & LIBUSB_TRANSFER_ADD_ZERO_PACKET) wire_put32(header + 20, URB_ZERO_PACKET);
    wire_put32(header + 24, length);
    if (wire_send_all(handle->fd, header, sizeof header) < 0) return -1;
    if (!in && length > 0) return wire_send_all(handle->fd, data, length);
    return 0;
}

static int check_submit(libusb_device_handle *handle, struct libusb_transfer *transfer) {
    int least = transfer->type == LIBUSB_TRANSFER_TYPE_CONTROL ? LIBUSB_CONTROL_SETUP_SIZE : 0;
    if (transfer->length < least || transfer->length > MAX_TRANSFER_BYTES) {
        return LIBUSB_ERROR_INVALID_PARAM;
    }
    if (transfer->type == LIBUSB_TRANSFER_TYPE_ISOCHRONOUS
        || transfer->type == LIBUSB_TRANSFER_TYPE_BULK_STREAM) {
        return LIBUSB_ERROR_NOT_SUPPORTED;
    }
    if (transfer->type == LIBUSB_TRANSFER_TYPE_CONTROL) return LIBUSB_SUCCESS;
    int interface = interface_of_endpoint(handle->device, transfer->endpoint);
    if (interface < 0) return LIBUSB_ERROR_NOT_FOUND;
    pthread_mutex_lock(&handle->context->lock);
    bool claimed = interface < MAX_INTERFACES && handle->claims[interface] >= 0;
    pthread_mutex_unlock(&handle->context->lock);
    // usbfs claims silently for a program that forgot to; so does this.
    return claimed ? LIBUSB_SUCCESS : libusb_claim_interface(handle, interface);
}

int libusb_submit_transfer(struct libusb_transfer *transfer) {
    libusb_device_handle *handle = transfer->dev_handle;
    if (handle == NULL) return LIBUSB_ERROR_INVALID_PARAM;
    libusb_context *context = handle->context;
    struct transfer_record *record = record_of(transfer);
    int problem = check_submit(handle, transfer);
    if (problem != LIBUSB_SUCCESS) return problem;

    pthread_mutex_lock(&handle->send_lock);
    pthread_mutex_lock(&context->lock);
    if (record->state != RECORD_IDLE) problem = LIBUSB_ERROR_BUSY;
    if (handle->gone) problem = LIBUSB_ERROR_NO_DEVICE;
    if (problem == LIBUSB_SUCCESS) {
        record->handle = handle;
        record->sequence = ++handle->next_sequence;
        record->unlink_sent = record->timed_out = record->receiving = false;
        record->deadline_ms = transfer->timeout > 0 ? now_ms() + transfer->timeout : 0;
        transfer->actual_length = 0;
        add_active(context, record);
    }
    pthread_mutex_unlock(&context->lock);
    // A send that fails means the connection is gone: the event loop finishes the record.
    if (problem == LIBUSB_SUCCESS) (void)send_submit(handle, record);
    pthread_mutex_unlock(&handle->send_lock);
    return problem;
}

// Asks the device to give the URB back; called without locks.
static int unlink_record(libusb_device_handle *handle, struct transfer_record *record,
                         uint32_t sequence, bool timed_out) {
    libusb_context *context = handle->context;
    uint8_t header[USBIP_HEADER_SIZE] = {0};
    pthread_mutex_lock(&handle->send_lock);
    pthread_mutex_lock(&context->lock);
    // The record may have finished, or even serve another URB, since the caller looked.
    bool still = find_active(context, handle, sequence, false) == record && !record->unlink_sent;
    if (still) {
        record->unlink_sent = true;
        record->timed_out = timed_out;
        record->unlink_sequence = ++handle->next_sequence;
        wire_put32(header, USBIP_CMD_UNLINK);
        wire_put32(header + 4, record->unlink_sequence);
        wire_put32(header + 8, handle->devid);
        wire_put32(header + 20, sequence);
    }
    pthread_mutex_unlock(&context->lock);
    if (still) (void)wire_send_all(handle->fd, header, sizeof header);
    pthread_mutex_unlock(&handle->send_lock);
    return still ? LIBUSB_SUCCESS : LIBUSB_ERROR_NOT_FOUND;
}

int libusb_cancel_transfer(struct libusb_transfer *transfer) {
    struct transfer_record *record = record_of(transfer);
    libusb_device_handle *handle = transfer->dev_handle;
    if (handle == NULL) return LIBUSB_ERROR_NOT_FOUND;
    pthread_mutex_lock(&handle->context->lock);
    bool active = record->state == RECORD_ACTIVE;
    uint32_t sequence = record->sequence;
    pthread_mutex_unlock(&handle->context->lock);
    if (!active) return LIBUSB_ERROR_NOT_FOUND;
    return unlink_record(handle, record, sequence, false);
}

// MARK: the event loop

// Runs the callbacks of all finished transfers; the lock is held on entry and on return.
static bool run_callbacks(libusb_context *context) {
    bool any = false;
    while (context->done_first != NULL) {
        struct transfer_record *record = context->done_first;
        context->done_first = record->next;
        if (context->done_first == NULL) {
            context->done_last = NULL;
            clear_wake(context);
        }
        record->next = NULL;
        record->state = RECORD_IDLE;
        uint8_t flags = record->transfer.flags;
        pthread_mutex_unlock(&context->lock);
        if (record->transfer.callback != NULL) record->transfer.callback(&record->transfer);
        if (flags & LIBUSB_TRANSFER_FREE_TRANSFER) libusb_free_transfer(&record->transfer);
        pthread_mutex_lock(&context->lock);
        pthread_cond_broadcast(&context->changed);
        any = true;
    }
    return any;
}

// Sends unlinks for what ran out of time; returns the next deadline or 0. Lock held.
static int64_t expire(libusb_context *context) {
    for (;;) {
        int64_t now = now_ms();
        int64_t next = 0;
        struct transfer_record *late = NULL;
        for (struct transfer_record *at = context->active; at != NULL; at = at->next) {
            if (at->deadline_ms == 0 || at->unlink_sent || at->receiving) continue;
            if (at->deadline_ms <= now) {
                late = at;
                break;
            }
            if (next == 0 || at->deadline_ms < next) next = at->deadline_ms;
        }
        if (late == NULL) return next;
        libusb_device_handle *handle = late->handle;
        uint32_t sequence = late->sequence;
        late->deadline_ms = 0;
        pthread_mutex_unlock(&context->lock);
        (void)unlink_record(handle, late, sequence, true);
        pthread_mutex_lock(&context->lock);
    }
}

static void wait_until(libusb_context *context, int64_t deadline) {
    struct timespec at = {.tv_sec = deadline / 1000, .tv_nsec = (deadline % 1000) * 1000000};
    (void)pthread_cond_timedwait(&context->changed, &context->lock, &at);
}

int libusb_handle_events_timeout_completed(libusb_context *context, struct timeval *limit,
                                           int *completed) {
    context = context_or_default(context);
    int64_t end = now_ms() + (limit == NULL ? 60000
                                            : (int64_t)limit->tv_sec * 1000
                                                  + (limit->tv_usec + 999) / 1000);
    pthread_mutex_lock(&context->lock);
    // Even with no time to wait, what has arrived is read once.
    bool looked = false;
    for (;;) {
        if (completed != NULL && *completed) break;
        if (run_callbacks(context)) break;
        if (context->interrupted) {
            context->interrupted = false;
            clear_wake(context);
            break;
        }
        int64_t next = expire(context);
        if (context->done_first != NULL) continue;
        if (looked && now_ms() >= end) break;
        int64_t until = next != 0 && next < end ? next : end;
        if (context->reading || context->closing > 0) {
            wait_until(context, until);
        } else {
            read_messages(context, until);
            if (context->done_first == NULL && !context->interrupted) clear_wake(context);
        }
        looked = true;
    }
    pthread_mutex_unlock(&context->lock);
    return LIBUSB_SUCCESS;
}

int libusb_handle_events_timeout(libusb_context *context, struct timeval *limit) {
    return libusb_handle_events_timeout_completed(context, limit, NULL);
}

int libusb_handle_events(libusb_context *context) {
    return libusb_handle_events_timeout_completed(context, NULL, NULL);
}

int libusb_handle_events_completed(libusb_context *context, int *completed) {
    return libusb_handle_events_timeout_completed(context, NULL, completed);
}

int libusb_handle_events_locked(libusb_context *context, struct timeval *limit) {
    return libusb_handle_events_timeout_completed(context, limit, NULL);
}

int libusb_wait_for_event(libusb_context *context, struct timeval *limit) {
    context = context_or_default(context);
    pthread_mutex_lock(&context->lock);
    int64_t end = now_ms()
        + (limit == NULL ? 60000 : (int64_t)limit->tv_sec * 1000 + limit->tv_usec / 1000);
    wait_until(context, end);
    bool late = now_ms() >= end;
    pthread_mutex_unlock(&context->lock);
    return late ? 1 : 0;
}

void libusb_interrupt_event_handler(libusb_context *context) {
    context = context_or_default(context);
    pthread_mutex_lock(&context->lock);
    context->interrupted = true;
    wake(context);
    pthread_cond_broadcast(&context->changed);
    pthread_mutex_unlock(&context->lock);
}

int libusb_pollfds_handle_timeouts(libusb_context *context) {
    (void)context;
    return 0;
}

int libusb_get_next_timeout(libusb_context *context, struct timeval *result) {
    context = context_or_default(context);
    pthread_mutex_lock(&context->lock);
    int64_t next = 0;
    for (struct transfer_record *at = context->active; at != NULL; at = at->next) {
        if (at->deadline_ms != 0 && (next == 0 || at->deadline_ms < next)) next = at->deadline_ms;
    }
    pthread_mutex_unlock(&context->lock);
    if (next == 0) return 0;
    int64_t left = next - now_ms();
    if (left < 0) left = 0;
    result->tv_sec = left / 1000;
    result->tv_usec = (left % 1000) * 1000;
    return 1;
}

// MARK: synchronous transfers

static void mark_completed(struct libusb_transfer *transfer) {
    *(int *)transfer->user_data = 1;
}

static int error_of(enum libusb_transfer_status status) {
    switch (status) {
    case LIBUSB_TRANSFER_COMPLETED: return LIBUSB_SUCCESS;
    case LIBUSB_TRANSFER_TIMED_OUT: return LIBUSB_ERROR_TIMEOUT;
    case LIBUSB_TRANSFER_STALL: return LIBUSB_ERROR_PIPE;
    case LIBUSB_TRANSFER_OVERFLOW: return LIBUSB_ERROR_OVERFLOW;
    case LIBUSB_TRANSFER_NO_DEVICE: return LIBUSB_ERROR_NO_DEVICE;
    default: return LIBUSB_ERROR_IO;
    }
}

static int run_synchronously(struct libusb_transfer *transfer, int *actual) {
    int completed = 0;
    transfer->user_data = &completed;
    transfer->callback = mark_completed;
    int result = libusb_submit_transfer(transfer);
    if (result != LIBUSB_SUCCESS) return result;
    while (!completed) {
        (void)libusb_handle_events_completed(transfer->dev_handle->context, &completed);
    }
    *actual = transfer->actual_length;
    return error_of(transfer->status);
}

static int synchronous(libusb_device_handle *handle, unsigned char endpoint, unsigned char *data,
                       int length, int *actual, unsigned int timeout, unsigned char type) {
    struct libusb_transfer *transfer = libusb_alloc_transfer(0);
    if (transfer == NULL) return LIBUSB_ERROR_NO_MEM;
    transfer->dev_handle = handle;
    transfer->endpoint = endpoint;
    transfer->type = type;
    transfer->timeout = timeout;
    transfer->buffer = data;
    transfer->length = length;
    int moved = 0;
    int result = run_synchronously(transfer, &moved);
    if (actual != NULL) *actual = moved;
    libusb_free_transfer(transfer);
    return result;
}

int libusb_bulk_transfer(libusb_device_handle *handle, unsigned char endpoint,
                         unsigned char *data, int length, int *actual, unsigned int timeout) {
    // libmtp reads its interrupt endpoint this way, and usbfs lets it.
    return synchronous(handle, endpoint, data, length, actual, timeout, LIBUSB_TRANSFER_TYPE_BULK);
}

int libusb_interrupt_transfer(libusb_device_handle *handle, unsigned char endpoint,
                              unsigned char *data, int length, int *actual,
                              unsigned int timeout) {
    return synchronous(handle, endpoint, data, length, actual, timeout,
                       LIBUSB_TRANSFER_TYPE_INTERRUPT);
}

int libusb_control_transfer(libusb_device_handle *handle, uint8_t request_type, uint8_t request,
                            uint16_t value, uint16_t index, unsigned char *data, uint16_t length,
                            unsigned int timeout) {
    uint8_t *buffer = malloc(LIBUSB_CONTROL_SETUP_SIZE + (size_t)length);
    struct libusb_transfer *transfer = libusb_alloc_transfer(0);
    if (buffer == NULL || transfer == NULL) {
        free(buffer);
        libusb_free_transfer(transfer);
        return LIBUSB_ERROR_NO_MEM;
    }
    libusb_fill_control_setup(buffer, request_type, request, value, index, length);
    bool in = (request_type & 0x80) != 0;
    if (!in && length > 0) memcpy(buffer + LIBUSB_CONTROL_SETUP_SIZE, data, length);
    libusb_fill_control_transfer(transfer, handle, buffer, NULL, NULL, timeout);
    int actual = 0;
    int result = run_synchronously(transfer, &actual);
    if (in && actual > 0) memcpy(data, buffer + LIBUSB_CONTROL_SETUP_SIZE, (size_t)actual);
    libusb_free_transfer(transfer);
    free(buffer);
    return result == LIBUSB_SUCCESS ? actual : result;
}
