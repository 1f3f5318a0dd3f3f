// Opening, claiming and resetting.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"

int libusb_open(libusb_device *device, libusb_device_handle **result) {
    struct wire_device found;
    int fd = wire_import(device->path, device->wire.busid, &found);
    if (fd < 0) return LIBUSB_ERROR_NO_DEVICE;
    // The same socket may meanwhile hold another plug of the phone.
    if (found.busnum != device->wire.busnum || found.devnum != device->wire.devnum) {
        close(fd);
        return LIBUSB_ERROR_NO_DEVICE;
    }
    libusb_device_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        close(fd);
        return LIBUSB_ERROR_NO_MEM;
    }
    handle->device = libusb_ref_device(device);
    handle->context = device->context;
    handle->fd = fd;
    handle->devid = found.busnum << 16 | found.devnum;
    handle->configuration = device->configuration_count > 0 ? device->configurations[0][5] : 0;
    for (int i = 0; i < MAX_INTERFACES; i++) handle->claims[i] = -1;
    pthread_mutex_init(&handle->send_lock, NULL);
    pthread_mutex_lock(&handle->context->lock);
    handle->next = handle->context->handles;
    handle->context->handles = handle;
    wake(handle->context);
    pthread_mutex_unlock(&handle->context->lock);
    *result = handle;
    return LIBUSB_SUCCESS;
}

void libusb_close(libusb_device_handle *handle) {
    if (handle == NULL) return;
    for (int i = 0; i < MAX_INTERFACES; i++) (void)libusb_release_interface(handle, i);
    libusb_context *context = handle->context;
    pthread_mutex_lock(&context->lock);
    context->closing++;
    while (context->reading) {
        wake(context);
        pthread_cond_wait(&context->changed, &context->lock);
    }
    libusb_device_handle **link = &context->handles;
    while (*link != NULL && *link != handle) link = &(*link)->next;
    if (*link == handle) *link = handle->next;
    finish_all(context, handle);
    context->closing--;
    pthread_cond_broadcast(&context->changed);
    pthread_mutex_unlock(&context->lock);
    close(handle->fd);
    pthread_mutex_destroy(&handle->send_lock);
    libusb_unref_device(handle->device);
    free(handle);
}

libusb_device *libusb_get_device(libusb_device_handle *handle) { return handle->device; }

libusb_device_handle *libusb_open_device_with_vid_pid(libusb_context *context, uint16_t vendor,
                                                      uint16_t product) {
    libusb_device **list;
    libusb_device_handle *handle = NULL;
    if (libusb_get_device_list(context, &list) < 0) return NULL;
    for (libusb_device **at = list; *at != NULL && handle == NULL; at++) {
        struct libusb_device_descriptor descriptor;
        (void)libusb_get_device_descriptor(*at, &descriptor);
        if (descriptor.idVendor == vendor && descriptor.idProduct == product
            && libusb_open(*at, &handle) != LIBUSB_SUCCESS) {
            handle = NULL;
        }
    }
    libusb_free_device_list(list, 1);
    return handle;
}

int libusb_wrap_sys_device(libusb_context *context, intptr_t system_device,
                           libusb_device_handle **handle) {
    (void)context;
    (void)system_device;
    (void)handle;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}

static bool has_interface(libusb_device *device, int number) {
    if (device->configuration_count == 0) return false;
    const uint8_t *bytes = device->configurations[0];
    size_t size = device->configuration_sizes[0];
    for (size_t at = 0; at + 3 <= size && bytes[at] >= 2; at += bytes[at]) {
        if (bytes[at + 1] == LIBUSB_DT_INTERFACE && bytes[at + 2] == number) return true;
    }
    return false;
}

int libusb_claim_interface(libusb_device_handle *handle, int number) {
    if (number < 0 || number >= MAX_INTERFACES) return LIBUSB_ERROR_INVALID_PARAM;
    if (!has_interface(handle->device, number)) return LIBUSB_ERROR_NOT_FOUND;
    pthread_mutex_lock(&handle->context->lock);
    bool held = handle->claims[number] >= 0;
    bool gone = handle->gone;
    pthread_mutex_unlock(&handle->context->lock);
    if (gone) return LIBUSB_ERROR_NO_DEVICE;
    if (held) return LIBUSB_SUCCESS;
    int fd = -1;
    int result = wire_claim(handle->device->path, handle->device->wire.busid, (uint32_t)number, &fd);
    if (result == 1) return LIBUSB_ERROR_BUSY;
    if (result < 0) return LIBUSB_ERROR_NO_DEVICE;
    pthread_mutex_lock(&handle->context->lock);
    handle->claims[number] = fd;
    pthread_mutex_unlock(&handle->context->lock);
    return LIBUSB_SUCCESS;
}

int libusb_release_interface(libusb_device_handle *handle, int number) {
    if (number < 0 || number >= MAX_INTERFACES) return LIBUSB_ERROR_INVALID_PARAM;
    pthread_mutex_lock(&handle->context->lock);
    int fd = handle->claims[number];
    handle->claims[number] = -1;
    pthread_mutex_unlock(&handle->context->lock);
    if (fd < 0) return LIBUSB_ERROR_NOT_FOUND;
    wire_release(fd, handle->device->wire.busid, (uint32_t)number);
    return LIBUSB_SUCCESS;
}

int libusb_get_configuration(libusb_device_handle *handle, int *configuration) {
    *configuration = handle->configuration;
    return LIBUSB_SUCCESS;
}

int libusb_set_configuration(libusb_device_handle *handle, int configuration) {
    uint16_t value = configuration < 0 ? 0 : (uint16_t)configuration;
    int result = libusb_control_transfer(handle, 0, LIBUSB_REQUEST_SET_CONFIGURATION, value, 0,
                                         NULL, 0, 1000);
    if (result < 0) return result == LIBUSB_ERROR_PIPE ? LIBUSB_ERROR_NOT_FOUND : result;
    handle->configuration = value;
    return LIBUSB_SUCCESS;
}

int libusb_set_interface_alt_setting(libusb_device_handle *handle, int number, int setting) {
    if (number < 0 || number >= MAX_INTERFACES || setting < 0 || setting > 255) {
        return LIBUSB_ERROR_INVALID_PARAM;
    }
    int result = libusb_control_transfer(handle, 1, LIBUSB_REQUEST_SET_INTERFACE,
                                         (uint16_t)setting, (uint16_t)number, NULL, 0, 1000);
    return result < 0 ? result : LIBUSB_SUCCESS;
}

int libusb_clear_halt(libusb_device_handle *handle, unsigned char endpoint) {
    int result = libusb_control_transfer(handle, 2, LIBUSB_REQUEST_CLEAR_FEATURE, 0, endpoint,
                                         NULL, 0, 1000);
    return result < 0 ? result : LIBUSB_SUCCESS;
}

// Linux carries a reset over USB/IP as the hub request SetPortFeature(PORT_RESET).
int libusb_reset_device(libusb_device_handle *handle) {
    int result = libusb_control_transfer(handle, 0x23, LIBUSB_REQUEST_SET_FEATURE, 4, 1, NULL, 0,
                                         5000);
    if (result == LIBUSB_ERROR_NO_DEVICE) return LIBUSB_ERROR_NOT_FOUND;
    return result < 0 ? result : LIBUSB_SUCCESS;
}

int libusb_kernel_driver_active(libusb_device_handle *handle, int number) {
    (void)handle;
    (void)number;
    return 0;
}

int libusb_detach_kernel_driver(libusb_device_handle *handle, int number) {
    (void)handle;
    (void)number;
    return LIBUSB_ERROR_NOT_FOUND;
}

int libusb_attach_kernel_driver(libusb_device_handle *handle, int number) {
    (void)handle;
    (void)number;
    return LIBUSB_ERROR_NOT_FOUND;
}

int libusb_set_auto_detach_kernel_driver(libusb_device_handle *handle, int enable) {
    (void)handle;
    (void)enable;
    return LIBUSB_SUCCESS;
}

int libusb_alloc_streams(libusb_device_handle *handle, uint32_t count, unsigned char *endpoints,
                         int endpoint_count) {
    (void)handle;
    (void)count;
    (void)endpoints;
    (void)endpoint_count;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}

int libusb_free_streams(libusb_device_handle *handle, unsigned char *endpoints,
                        int endpoint_count) {
    (void)handle;
    (void)endpoints;
    (void)endpoint_count;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}

unsigned char *libusb_dev_mem_alloc(libusb_device_handle *handle, size_t length) {
    (void)handle;
    (void)length;
    return NULL;
}

int libusb_dev_mem_free(libusb_device_handle *handle, unsigned char *buffer, size_t length) {
    (void)handle;
    (void)buffer;
    (void)length;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}
