// What the parts of the library share: contexts, devices, open handles and transfers in flight.
#ifndef HOLDFAST_USBIP_LIBRARY_H
#define HOLDFAST_USBIP_LIBRARY_H

#include <libusb-1.0/libusb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

#define MAX_CONFIGURATION_BYTES 4096
#define MAX_CONFIGURATIONS 4
#define MAX_INTERFACES 32
#define MAX_HANDLES 64
#define MAX_TRANSFER_BYTES (64 * 1024 * 1024)

struct transfer_record;

struct libusb_context {
    pthread_mutex_t lock;
    // Signalled when a transfer finished, a callback ran or a waiter is to look again.
    pthread_cond_t changed;
    pthread_mutex_t event_lock;
    struct transfer_record *active;
    struct transfer_record *done_first;
    struct transfer_record *done_last;
    // Readable while finished transfers wait for their callbacks (for libusb_get_pollfds).
    int wake_fd;
    bool interrupted;
    // A thread is in poll or reads a message; handles may not go away meanwhile.
    bool reading;
    // How many threads wait for that to end, to close a handle.
    int closing;
    struct libusb_device_handle *handles;
    int references;
};

struct libusb_device {
    struct libusb_device *next;
    // Guarded by the registry's lock, as is `next`.
    int references;
    libusb_context *context;
    char path[108];
    struct wire_device wire;
    uint8_t descriptor[LIBUSB_DT_DEVICE_SIZE];
    uint8_t *configurations[MAX_CONFIGURATIONS];
    uint16_t configuration_sizes[MAX_CONFIGURATIONS];
    uint8_t configuration_count;
};

struct libusb_device_handle {
    libusb_device *device;
    libusb_context *context;
    int fd;
    uint32_t devid;
    // Guarded by the context's lock.
    struct libusb_device_handle *next;
    // Keeps URBs whole on the wire; taken before the context's lock, never after.
    pthread_mutex_t send_lock;
    // Guarded by the context's lock.
    uint32_t next_sequence;
    bool gone;
    int claims[MAX_INTERFACES];
    int configuration;
};

enum record_state { RECORD_IDLE, RECORD_ACTIVE, RECORD_DONE };

struct transfer_record {
    struct transfer_record *previous;
    struct transfer_record *next;
    libusb_device_handle *handle;
    enum record_state state;
    uint32_t sequence;
    uint32_t unlink_sequence;
    int64_t deadline_ms;
    bool unlink_sent;
    bool timed_out;
    bool receiving;
    uint32_t stream;
    struct libusb_transfer transfer;
};

libusb_context *context_or_default(libusb_context *context);
int64_t now_ms(void);
int copy_control_in(int fd, uint32_t devid, uint8_t request_type, uint8_t request, uint16_t value,
                    uint16_t index, uint8_t *data, uint16_t length);
// Ends all transfers of a handle with "no device"; the context's lock is held.
void finish_all(libusb_context *context, libusb_device_handle *handle);
// Makes a thread that polls look again.
void wake(libusb_context *context);
int interface_of_endpoint(libusb_device *device, uint8_t endpoint);

#endif
