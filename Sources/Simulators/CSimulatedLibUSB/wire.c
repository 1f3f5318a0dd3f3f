#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

void wire_put16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void wire_put32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

uint16_t wire_get16(const uint8_t *at) { return (uint16_t)((at[0] << 8) | at[1]); }

uint32_t wire_get32(const uint8_t *at) {
    return ((uint32_t)at[0] << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3];
}

int wire_connect(const char *path, int seconds) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address.sun_path) return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (seconds > 0) {
        struct timeval limit = {.tv_sec = seconds, .tv_usec = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    int result;
    do {
        result = connect(fd, (struct sockaddr *)&address, sizeof address);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int wire_send_all(int fd, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    while (count > 0) {
        ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -1;
        at += sent;
        count -= (size_t)sent;
    }
    return 0;
}

int wire_receive_all(int fd, void *bytes, size_t count) {
    uint8_t *at = bytes;
    while (count > 0) {
        ssize_t got = recv(fd, at, count, MSG_WAITALL);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        at += got;
        count -= (size_t)got;
    }
    return 0;
}

static void parse_device(const uint8_t *bytes, struct wire_device *device) {
    memcpy(device->busid, bytes + 256, USBIP_BUSID_SIZE);
    device->busid[USBIP_BUSID_SIZE] = 0;
    device->busnum = wire_get32(bytes + 288);
    device->devnum = wire_get32(bytes + 292);
    device->speed = wire_get32(bytes + 296);
    device->interface_count = bytes[311];
}

// Sends an operation with its body and reads the 8-byte answer; the status, or -1.
static int64_t operate(int fd, uint16_t code, const void *body, size_t count) {
    uint8_t message[USBIP_OP_SIZE + 64];
    if (count > sizeof message - USBIP_OP_SIZE) return -1;
    wire_put16(message, USBIP_VERSION);
    wire_put16(message + 2, code);
    wire_put32(message + 4, 0);
    if (count > 0) memcpy(message + USBIP_OP_SIZE, body, count);
    if (wire_send_all(fd, message, USBIP_OP_SIZE + count) < 0) return -1;
    uint8_t reply[USBIP_OP_SIZE];
    if (wire_receive_all(fd, reply, sizeof reply) < 0) return -1;
    if (wire_get16(reply + 2) != (code & 0x7FFF)) return -1;
    return wire_get32(reply + 4);
}

int wire_list(const char *path, struct wire_device *devices, int limit) {
    int fd = wire_connect(path, 5);
    if (fd < 0) return -1;
    int found = -1;
    uint8_t count_bytes[4];
    if (operate(fd, USBIP_REQ_DEVLIST, NULL, 0) == 0
        && wire_receive_all(fd, count_bytes, sizeof count_bytes) == 0) {
        uint32_t announced = wire_get32(count_bytes);
        found = 0;
        while (announced > 0 && found < limit) {
            uint8_t bytes[USBIP_DEVICE_SIZE];
            uint8_t interfaces[4 * 256];
            if (wire_receive_all(fd, bytes, sizeof bytes) < 0) break;
            parse_device(bytes, &devices[found]);
            size_t rest = 4u * devices[found].interface_count;
            if (rest > 0 && wire_receive_all(fd, interfaces, rest) < 0) break;
            found++;
            announced--;
        }
    }
    close(fd);
    return found;
}

int wire_import(const char *path, const char *busid, struct wire_device *found) {
    int fd = wire_connect(path, 0);
    if (fd < 0) return -1;
    uint8_t body[USBIP_BUSID_SIZE] = {0};
    uint8_t bytes[USBIP_DEVICE_SIZE];
    strncpy((char *)body, busid, sizeof body - 1);
    if (operate(fd, USBIP_REQ_IMPORT, body, sizeof body) != 0
        || wire_receive_all(fd, bytes, sizeof bytes) < 0) {
        close(fd);
        return -1;
    }
    parse_device(bytes, found);
    return fd;
}

static int64_t claim_operation(int fd, uint16_t code, const char *busid, uint32_t interface) {
    uint8_t body[USBIP_BUSID_SIZE + 4] = {0};
    strncpy((char *)body, busid, USBIP_BUSID_SIZE - 1);
    wire_put32(body + USBIP_BUSID_SIZE, interface);
    return operate(fd, code, body, sizeof body);
}

int wire_claim(const char *path, const char *busid, uint32_t interface, int *fd) {
    int connection = wire_connect(path, 5);
    if (connection < 0) return -1;
    int64_t status = claim_operation(connection, USBIP_REQ_CLAIM, busid, interface);
    if (status == 0) {
        *fd = connection;
        return 0;
    }
    close(connection);
    return status == USBIP_STATUS_BUSY ? 1 : -1;
}

void wire_release(int fd, const char *busid, uint32_t interface) {
    // The answer is awaited so that the next claim of this process cannot overtake it.
    (void)claim_operation(fd, USBIP_REQ_RELEASE, busid, interface);
    close(fd);
}
