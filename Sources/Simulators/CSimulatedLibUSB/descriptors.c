// Descriptors: the bytes were read with the device list; here they become libusb's structures.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "library.h"

int libusb_get_device_descriptor(libusb_device *device,
                                 struct libusb_device_descriptor *descriptor) {
    const uint8_t *bytes = device->descriptor;
    *descriptor = (struct libusb_device_descriptor){
        .bLength = bytes[0],
        .bDescriptorType = bytes[1],
        .bcdUSB = (uint16_t)(bytes[2] | bytes[3] << 8),
        .bDeviceClass = bytes[4],
        .bDeviceSubClass = bytes[5],
        .bDeviceProtocol = bytes[6],
        .bMaxPacketSize0 = bytes[7],
        .idVendor = (uint16_t)(bytes[8] | bytes[9] << 8),
        .idProduct = (uint16_t)(bytes[10] | bytes[11] << 8),
        .bcdDevice = (uint16_t)(bytes[12] | bytes[13] << 8),
        .iManufacturer = bytes[14],
        .iProduct = bytes[15],
        .iSerialNumber = bytes[16],
        .bNumConfigurations = device->configuration_count,
    };
    return LIBUSB_SUCCESS;
}


// Appends class descriptors that follow an interface or endpoint, as libusb's `extra`.
static int add_extra(const unsigned char **extra, int *length, const uint8_t *bytes,
                     uint8_t count) {
    unsigned char *joined = malloc((size_t)*length + count);
    if (joined == NULL) return -1;
    if (*length > 0) memcpy(joined, *extra, (size_t)*length);
    memcpy(joined + *length, bytes, count);
    free((void *)(uintptr_t)*extra);
    *extra = joined;
    *length += count;
    return 0;
}

static struct libusb_interface_descriptor *add_setting(struct libusb_interface *interface,
                                                       const uint8_t *at) {
    size_t count = (size_t)interface->num_altsetting;
    struct libusb_interface_descriptor *settings =
        realloc((void *)(uintptr_t)interface->altsetting, (count + 1) * sizeof *settings);
    if (settings == NULL) return NULL;
    interface->altsetting = settings;
    settings[count] = (struct libusb_interface_descriptor){
        .bLength = at[0],
        .bDescriptorType = at[1],
        .bInterfaceNumber = at[2],
        .bAlternateSetting = at[3],
        .bNumEndpoints = 0,
        .bInterfaceClass = at[5],
        .bInterfaceSubClass = at[6],
        .bInterfaceProtocol = at[7],
        .iInterface = at[8],
    };
    interface->num_altsetting++;
    return &settings[count];
}

static struct libusb_endpoint_descriptor *add_endpoint(
    struct libusb_interface_descriptor *setting, const uint8_t *at) {
    size_t count = setting->bNumEndpoints;
    struct libusb_endpoint_descriptor *endpoints =
        realloc((void *)(uintptr_t)setting->endpoint, (count + 1) * sizeof *endpoints);
    if (endpoints == NULL) return NULL;
    setting->endpoint = endpoints;
    endpoints[count] = (struct libusb_endpoint_descriptor){
        .bLength = at[0],
        .bDescriptorType = at[1],
        .bEndpointAddress = at[2],
        .bmAttributes = at[3],
        .wMaxPacketSize = (uint16_t)(at[4] | at[5] << 8),
        .bInterval = at[6],
    };
    setting->bNumEndpoints++;
    return &endpoints[count];
}

static int parse_body(struct libusb_config_descriptor *config, const uint8_t *bytes, size_t size) {
    struct libusb_interface *interfaces = (struct libusb_interface *)(uintptr_t)config->interface;
    struct libusb_interface_descriptor *setting = NULL;
    struct libusb_endpoint_descriptor *endpoint = NULL;
    size_t at = LIBUSB_DT_CONFIG_SIZE;
    while (at + 2 <= size) {
        uint8_t length = bytes[at];
        uint8_t type = bytes[at + 1];
        if (length < 2 || at + length > size) break;
        if (type == LIBUSB_DT_INTERFACE && length >= LIBUSB_DT_INTERFACE_SIZE) {
            uint8_t number = bytes[at + 2];
            if (number >= MAX_INTERFACES) return -1;
            if (number >= config->bNumInterfaces) config->bNumInterfaces = (uint8_t)(number + 1);
            setting = add_setting(&interfaces[number], bytes + at);
            endpoint = NULL;
            if (setting == NULL) return -1;
        } else if (type == LIBUSB_DT_ENDPOINT && setting != NULL
                   && length >= LIBUSB_DT_ENDPOINT_SIZE) {
            endpoint = add_endpoint(setting, bytes + at);
            if (endpoint == NULL) return -1;
        } else if (endpoint != NULL) {
            if (add_extra(&endpoint->extra, &endpoint->extra_length, bytes + at, length) < 0) {
                return -1;
            }
        } else if (setting != NULL) {
            if (add_extra(&setting->extra, &setting->extra_length, bytes + at, length) < 0) {
                return -1;
            }
        } else if (add_extra(&config->extra, &config->extra_length, bytes + at, length) < 0) {
            return -1;
        }
        at += length;
    }
    return 0;
}

int libusb_get_config_descriptor(libusb_device *device, uint8_t index,
                                 struct libusb_config_descriptor **result) {
    if (index >= device->configuration_count) return LIBUSB_ERROR_NOT_FOUND;
    const uint8_t *bytes = device->configurations[index];
    struct libusb_config_descriptor *config = calloc(1, sizeof *config);
    if (config == NULL) return LIBUSB_ERROR_NO_MEM;
    config->interface = calloc(MAX_INTERFACES, sizeof(struct libusb_interface));
    config->bLength = bytes[0];
    config->bDescriptorType = bytes[1];
    config->wTotalLength = (uint16_t)(bytes[2] | bytes[3] << 8);
    config->bConfigurationValue = bytes[5];
    config->iConfiguration = bytes[6];
    config->bmAttributes = bytes[7];
    config->MaxPower = bytes[8];
    if (config->interface == NULL
        || parse_body(config, bytes, device->configuration_sizes[index]) < 0) {
        libusb_free_config_descriptor(config);
        return LIBUSB_ERROR_NO_MEM;
    }
    *result = config;
    return LIBUSB_SUCCESS;
}

void libusb_free_config_descriptor(struct libusb_config_descriptor *config) {
    if (config == NULL) return;
    for (int i = 0; config->interface != NULL && i < config->bNumInterfaces; i++) {
        const struct libusb_interface *interface = &config->interface[i];
        for (int s = 0; s < interface->num_altsetting; s++) {
            const struct libusb_interface_descriptor *setting = &interface->altsetting[s];
            for (int e = 0; e < setting->bNumEndpoints; e++) {
                free((void *)(uintptr_t)setting->endpoint[e].extra);
            }
            free((void *)(uintptr_t)setting->endpoint);
            free((void *)(uintptr_t)setting->extra);
        }
        free((void *)(uintptr_t)interface->altsetting);
    }
    free((void *)(uintptr_t)config->interface);
    free((void *)(uintptr_t)config->extra);
    free(config);
}

int libusb_get_active_config_descriptor(libusb_device *device,
                                        struct libusb_config_descriptor **config) {
    return libusb_get_config_descriptor(device, 0, config);
}

int libusb_get_config_descriptor_by_value(libusb_device *device, uint8_t value,
                                          struct libusb_config_descriptor **config) {
    for (uint8_t i = 0; i < device->configuration_count; i++) {
        if (device->configurations[i][5] == value) {
            return libusb_get_config_descriptor(device, i, config);
        }
    }
    return LIBUSB_ERROR_NOT_FOUND;
}

// Walks the first configuration's bytes; -1 when no interface has the endpoint.
int interface_of_endpoint(libusb_device *device, uint8_t endpoint) {
    if (device->configuration_count == 0) return -1;
    const uint8_t *bytes = device->configurations[0];
    size_t size = device->configuration_sizes[0];
    int interface = -1;
    for (size_t at = 0; at + 3 <= size && bytes[at] >= 2; at += bytes[at]) {
        if (bytes[at + 1] == LIBUSB_DT_INTERFACE) interface = bytes[at + 2];
        if (bytes[at + 1] == LIBUSB_DT_ENDPOINT && bytes[at + 2] == endpoint) return interface;
    }
    return -1;
}

int libusb_get_max_packet_size(libusb_device *device, unsigned char endpoint) {
    if (device->configuration_count == 0) return LIBUSB_ERROR_NOT_FOUND;
    const uint8_t *bytes = device->configurations[0];
    size_t size = device->configuration_sizes[0];
    for (size_t at = 0; at + 6 <= size && bytes[at] >= 2; at += bytes[at]) {
        if (bytes[at + 1] == LIBUSB_DT_ENDPOINT && bytes[at + 2] == endpoint) {
            return bytes[at + 4] | bytes[at + 5] << 8;
        }
    }
    return LIBUSB_ERROR_NOT_FOUND;
}

int libusb_get_max_iso_packet_size(libusb_device *device, unsigned char endpoint) {
    return libusb_get_max_packet_size(device, endpoint);
}

int libusb_get_ss_endpoint_companion_descriptor(
    libusb_context *context, const struct libusb_endpoint_descriptor *endpoint,
    struct libusb_ss_endpoint_companion_descriptor **result) {
    (void)context;
    const unsigned char *extra = endpoint->extra;
    for (int at = 0; at + 6 <= endpoint->extra_length && extra[at] >= 2; at += extra[at]) {
        if (extra[at + 1] != LIBUSB_DT_SS_ENDPOINT_COMPANION) continue;
        struct libusb_ss_endpoint_companion_descriptor *found = calloc(1, sizeof *found);
        if (found == NULL) return LIBUSB_ERROR_NO_MEM;
        found->bLength = extra[at];
        found->bDescriptorType = extra[at + 1];
        found->bMaxBurst = extra[at + 2];
        found->bmAttributes = extra[at + 3];
        found->wBytesPerInterval = (uint16_t)(extra[at + 4] | extra[at + 5] << 8);
        *result = found;
        return LIBUSB_SUCCESS;
    }
    return LIBUSB_ERROR_NOT_FOUND;
}

void libusb_free_ss_endpoint_companion_descriptor(
    struct libusb_ss_endpoint_companion_descriptor *companion) {
    free(companion);
}

static struct libusb_bos_dev_capability_descriptor *capability(const uint8_t *bytes) {
    struct libusb_bos_dev_capability_descriptor *found =
        calloc(1, sizeof *found + bytes[0]);
    if (found == NULL) return NULL;
    found->bLength = bytes[0];
    found->bDescriptorType = bytes[1];
    found->bDevCapabilityType = bytes[2];
    memcpy(found->dev_capability_data, bytes + 3, (size_t)bytes[0] - 3);
    return found;
}

int libusb_get_bos_descriptor(libusb_device_handle *handle, struct libusb_bos_descriptor **result) {
    uint8_t bytes[512];
    int size = libusb_get_descriptor(handle, LIBUSB_DT_BOS, 0, bytes, sizeof bytes);
    if (size == LIBUSB_ERROR_PIPE) return LIBUSB_ERROR_NOT_FOUND;
    if (size < 0) return size;
    if (size < LIBUSB_DT_BOS_SIZE) return LIBUSB_ERROR_IO;
    struct libusb_bos_descriptor *bos =
        calloc(1, sizeof *bos + bytes[4] * sizeof(bos->dev_capability[0]));
    if (bos == NULL) return LIBUSB_ERROR_NO_MEM;
    bos->bLength = bytes[0];
    bos->bDescriptorType = bytes[1];
    bos->wTotalLength = (uint16_t)(bytes[2] | bytes[3] << 8);
    int at = LIBUSB_DT_BOS_SIZE;
    while (bos->bNumDeviceCaps < bytes[4] && at + 3 <= size && bytes[at] >= 3
           && at + bytes[at] <= size) {
        struct libusb_bos_dev_capability_descriptor *found = capability(bytes + at);
        if (found == NULL) {
            libusb_free_bos_descriptor(bos);
            return LIBUSB_ERROR_NO_MEM;
        }
        bos->dev_capability[bos->bNumDeviceCaps++] = found;
        at += bytes[at];
    }
    *result = bos;
    return LIBUSB_SUCCESS;
}

void libusb_free_bos_descriptor(struct libusb_bos_descriptor *bos) {
    if (bos == NULL) return;
    for (int i = 0; i < bos->bNumDeviceCaps; i++) free(bos->dev_capability[i]);
    free(bos);
}

int libusb_get_usb_2_0_extension_descriptor(
    libusb_context *context, struct libusb_bos_dev_capability_descriptor *from,
    struct libusb_usb_2_0_extension_descriptor **result) {
    (void)context;
    if (from->bDevCapabilityType != LIBUSB_BT_USB_2_0_EXTENSION) return LIBUSB_ERROR_INVALID_PARAM;
    if (from->bLength < LIBUSB_BT_USB_2_0_EXTENSION_SIZE) return LIBUSB_ERROR_IO;
    struct libusb_usb_2_0_extension_descriptor *found = calloc(1, sizeof *found);
    if (found == NULL) return LIBUSB_ERROR_NO_MEM;
    const uint8_t *data = from->dev_capability_data;
    found->bLength = from->bLength;
    found->bDescriptorType = from->bDescriptorType;
    found->bDevCapabilityType = from->bDevCapabilityType;
    found->bmAttributes = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16
        | (uint32_t)data[3] << 24;
    *result = found;
    return LIBUSB_SUCCESS;
}

void libusb_free_usb_2_0_extension_descriptor(
    struct libusb_usb_2_0_extension_descriptor *descriptor) {
    free(descriptor);
}

int libusb_get_ss_usb_device_capability_descriptor(
    libusb_context *context, struct libusb_bos_dev_capability_descriptor *from,
    struct libusb_ss_usb_device_capability_descriptor **result) {
    (void)context;
    if (from->bDevCapabilityType != LIBUSB_BT_SS_USB_DEVICE_CAPABILITY) {
        return LIBUSB_ERROR_INVALID_PARAM;
    }
    if (from->bLength < LIBUSB_BT_SS_USB_DEVICE_CAPABILITY_SIZE) return LIBUSB_ERROR_IO;
    struct libusb_ss_usb_device_capability_descriptor *found = calloc(1, sizeof *found);
    if (found == NULL) return LIBUSB_ERROR_NO_MEM;
    const uint8_t *data = from->dev_capability_data;
    found->bLength = from->bLength;
    found->bDescriptorType = from->bDescriptorType;
    found->bDevCapabilityType = from->bDevCapabilityType;
    found->bmAttributes = data[0];
    found->wSpeedSupported = (uint16_t)(data[1] | data[2] << 8);
    found->bFunctionalitySupport = data[3];
    found->bU1DevExitLat = data[4];
    found->bU2DevExitLat = (uint16_t)(data[5] | data[6] << 8);
    *result = found;
    return LIBUSB_SUCCESS;
}

void libusb_free_ss_usb_device_capability_descriptor(
    struct libusb_ss_usb_device_capability_descriptor *descriptor) {
    free(descriptor);
}

int libusb_get_container_id_descriptor(libusb_context *context,
                                       struct libusb_bos_dev_capability_descriptor *from,
                                       struct libusb_container_id_descriptor **result) {
    (void)context;
    if (from->bDevCapabilityType != LIBUSB_BT_CONTAINER_ID) return LIBUSB_ERROR_INVALID_PARAM;
    if (from->bLength < LIBUSB_BT_CONTAINER_ID_SIZE) return LIBUSB_ERROR_IO;
    struct libusb_container_id_descriptor *found = calloc(1, sizeof *found);
    if (found == NULL) return LIBUSB_ERROR_NO_MEM;
    found->bLength = from->bLength;
    found->bDescriptorType = from->bDescriptorType;
    found->bDevCapabilityType = from->bDevCapabilityType;
    found->bReserved = from->dev_capability_data[0];
    memcpy(found->ContainerID, from->dev_capability_data + 1, sizeof found->ContainerID);
    *result = found;
    return LIBUSB_SUCCESS;
}

void libusb_free_container_id_descriptor(struct libusb_container_id_descriptor *descriptor) {
    free(descriptor);
}

int libusb_get_string_descriptor_ascii(libusb_device_handle *handle, uint8_t index,
                                       unsigned char *data, int length) {
    if (index == 0 || length <= 0) return LIBUSB_ERROR_INVALID_PARAM;
    uint8_t bytes[255];
    int size = libusb_get_string_descriptor(handle, 0, 0, bytes, sizeof bytes);
    if (size < 0) return size;
    if (size < 4) return LIBUSB_ERROR_IO;
    uint16_t language = (uint16_t)(bytes[2] | bytes[3] << 8);
    size = libusb_get_string_descriptor(handle, index, language, bytes, sizeof bytes);
    if (size < 0) return size;
    if (size < 2 || bytes[1] != LIBUSB_DT_STRING || bytes[0] > size) return LIBUSB_ERROR_IO;
    int written = 0;
    for (int at = 2; at + 1 < bytes[0] && written + 1 < length; at += 2) {
        bool plain = bytes[at + 1] == 0 && (bytes[at] & 0x80) == 0;
        data[written++] = plain ? bytes[at] : '?';
    }
    data[written] = 0;
    return written;
}
