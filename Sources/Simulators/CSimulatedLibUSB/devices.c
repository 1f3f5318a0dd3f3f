// The device list: read anew from the sockets at every call, as a real bus would be.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "include/CSimulatedLibUSB.h"
#include "library.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static libusb_device *registry;

int copy_control_in(int fd, uint32_t devid, uint8_t request_type, uint8_t request, uint16_t value,
                    uint16_t index, uint8_t *data, uint16_t length) {
    uint8_t header[USBIP_HEADER_SIZE] = {0};
    wire_put32(header, USBIP_CMD_SUBMIT);
    wire_put32(header + 4, 1);
    wire_put32(header + 8, devid);
    wire_put32(header + 12, 1);
    wire_put32(header + 24, length);
    header[40] = request_type;
    header[41] = request;
    header[42] = (uint8_t)value;
    header[43] = (uint8_t)(value >> 8);
    header[44] = (uint8_t)index;
    header[45] = (uint8_t)(index >> 8);
    header[46] = (uint8_t)length;
    header[47] = (uint8_t)(length >> 8);
    if (wire_send_all(fd, header, sizeof header) < 0) return -1;
    if (wire_receive_all(fd, header, sizeof header) < 0) return -1;
    if (wire_get32(header) != USBIP_RET_SUBMIT) return -1;
    uint32_t actual = wire_get32(header + 24);
    if (actual > length) return -1;
    if (actual > 0 && wire_receive_all(fd, data, actual) < 0) return -1;
    if (wire_get32(header + 20) != 0) return -1;
    return (int)actual;
}

static int read_configuration(int fd, libusb_device *device, uint8_t index) {
    uint8_t head[LIBUSB_DT_CONFIG_SIZE];
    uint32_t devid = device->wire.busnum << 16 | device->wire.devnum;
    uint16_t value = (uint16_t)(LIBUSB_DT_CONFIG << 8 | index);
    if (copy_control_in(fd, devid, 0x80, 6, value, 0, head, sizeof head) < (int)sizeof head) {
        return -1;
    }
    uint16_t total = (uint16_t)(head[2] | head[3] << 8);
    if (total < sizeof head || total > MAX_CONFIGURATION_BYTES) return -1;
    uint8_t *bytes = malloc(total);
    if (bytes == NULL) return -1;
    if (copy_control_in(fd, devid, 0x80, 6, value, 0, bytes, total) != total) {
        free(bytes);
        return -1;
    }
    device->configurations[index] = bytes;
    device->configuration_sizes[index] = total;
    return 0;
}

static void free_device(libusb_device *device) {
    for (int i = 0; i < device->configuration_count; i++) free(device->configurations[i]);
    free(device);
}

static libusb_device *read_device(libusb_context *context, const char *path,
                                  const struct wire_device *listed) {
    struct wire_device imported;
    int fd = wire_import(path, listed->busid, &imported);
    if (fd < 0) return NULL;
    libusb_device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        close(fd);
        return NULL;
    }
    device->context = context;
    device->wire = imported;
    snprintf(device->path, sizeof device->path, "%s", path);
    uint32_t devid = imported.busnum << 16 | imported.devnum;
    bool whole = copy_control_in(fd, devid, 0x80, 6, LIBUSB_DT_DEVICE << 8, 0, device->descriptor,
                                 sizeof device->descriptor)
        == (int)sizeof device->descriptor;
    uint8_t count = device->descriptor[17];
    if (count > MAX_CONFIGURATIONS) count = MAX_CONFIGURATIONS;
    for (uint8_t i = 0; whole && i < count; i++) {
        whole = read_configuration(fd, device, i) == 0;
        if (whole) device->configuration_count = (uint8_t)(i + 1);
    }
    close(fd);
    if (!whole) {
        free_device(device);
        return NULL;
    }
    return device;
}

// The device already known under this address, or a new one; with a reference for the caller.
static libusb_device *find_or_read(libusb_context *context, const char *path,
                                   const struct wire_device *listed) {
    for (libusb_device *known = registry; known != NULL; known = known->next) {
        if (known->context == context && known->wire.busnum == listed->busnum
            && known->wire.devnum == listed->devnum && strcmp(known->path, path) == 0
            && strcmp(known->wire.busid, listed->busid) == 0) {
            known->references++;
            return known;
        }
    }
    libusb_device *device = read_device(context, path, listed);
    if (device == NULL) return NULL;
    device->references = 1;
    device->next = registry;
    registry = device;
    return device;
}

static size_t add_socket(libusb_context *context, const char *path, libusb_device **list,
                         size_t count) {
    struct wire_device found[USBIP_MAX_DEVICES];
    int devices = wire_list(path, found, USBIP_MAX_DEVICES);
    for (int i = 0; i < devices && count < USBIP_MAX_DEVICES; i++) {
        libusb_device *device = find_or_read(context, path, &found[i]);
        if (device != NULL) list[count++] = device;
    }
    return count;
}

static int compare_names(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static size_t add_folder(libusb_context *context, const char *folder, libusb_device **list) {
    DIR *directory = opendir(folder);
    if (directory == NULL) return 0;
    char *names[USBIP_MAX_DEVICES];
    size_t name_count = 0;
    struct dirent *entry;
    while (name_count < USBIP_MAX_DEVICES && (entry = readdir(directory)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length < 6 || strcmp(entry->d_name + length - 5, ".sock") != 0) continue;
        if (asprintf(&names[name_count], "%s/%s", folder, entry->d_name) < 0) break;
        name_count++;
    }
    closedir(directory);
    qsort(names, name_count, sizeof names[0], compare_names);
    size_t count = 0;
    for (size_t i = 0; i < name_count; i++) {
        count = add_socket(context, names[i], list, count);
        free(names[i]);
    }
    return count;
}

ssize_t libusb_get_device_list(libusb_context *context, libusb_device ***list) {
    context = context_or_default(context);
    libusb_device **found = calloc(USBIP_MAX_DEVICES + 1, sizeof *found);
    if (found == NULL) return LIBUSB_ERROR_NO_MEM;
    const char *path = getenv(HOLDFAST_USBIP_VARIABLE);
    struct stat status;
    size_t count = 0;
    if (path != NULL && stat(path, &status) == 0) {
        pthread_mutex_lock(&registry_lock);
        count = S_ISDIR(status.st_mode) ? add_folder(context, path, found)
                                        : add_socket(context, path, found, 0);
        pthread_mutex_unlock(&registry_lock);
    }
    *list = found;
    return (ssize_t)count;
}

void libusb_free_device_list(libusb_device **list, int unref_devices) {
    if (list == NULL) return;
    if (unref_devices) {
        for (libusb_device **at = list; *at != NULL; at++) libusb_unref_device(*at);
    }
    free(list);
}

libusb_device *libusb_ref_device(libusb_device *device) {
    pthread_mutex_lock(&registry_lock);
    device->references++;
    pthread_mutex_unlock(&registry_lock);
    return device;
}

void libusb_unref_device(libusb_device *device) {
    if (device == NULL) return;
    pthread_mutex_lock(&registry_lock);
    bool last = --device->references == 0;
    if (last) {
        libusb_device **link = &registry;
        while (*link != NULL && *link != device) link = &(*link)->next;
        if (*link == device) *link = device->next;
    }
    pthread_mutex_unlock(&registry_lock);
    if (last) free_device(device);
}

uint8_t libusb_get_bus_number(libusb_device *device) { return (uint8_t)device->wire.busnum; }

uint8_t libusb_get_device_address(libusb_device *device) { return (uint8_t)device->wire.devnum; }

// The ports of a sysfs name: "1-4.2" is root port 4, hub port 2.
int libusb_get_port_numbers(libusb_device *device, uint8_t *ports, int limit) {
    const char *at = strchr(device->wire.busid, '-');
    int count = 0;
    while (at != NULL && *at != 0) {
        if (count >= limit) return LIBUSB_ERROR_OVERFLOW;
        ports[count++] = (uint8_t)strtoul(at + 1, NULL, 10);
        at = strchr(at + 1, '.');
    }
    return count;
}

int libusb_get_port_path(libusb_context *context, libusb_device *device, uint8_t *path,
                         uint8_t limit) {
    (void)context;
    return libusb_get_port_numbers(device, path, limit);
}

uint8_t libusb_get_port_number(libusb_device *device) {
    uint8_t ports[7];
    int count = libusb_get_port_numbers(device, ports, sizeof ports);
    return count > 0 ? ports[count - 1] : 0;
}

libusb_device *libusb_get_parent(libusb_device *device) {
    (void)device;
    return NULL;
}

// USB/IP numbers speeds as the kernel does (2 full, 3 high, 5 super), libusb from 1 (low).
int libusb_get_device_speed(libusb_device *device) {
    switch (device->wire.speed) {
    case 1: return LIBUSB_SPEED_LOW;
    case 2: return LIBUSB_SPEED_FULL;
    case 3: return LIBUSB_SPEED_HIGH;
    case 5: return LIBUSB_SPEED_SUPER;
    case 6: return LIBUSB_SPEED_SUPER_PLUS;
    default: return LIBUSB_SPEED_UNKNOWN;
    }
}
