// USB/IP as a client speaks it (Linux, Documentation/usb/usbip_protocol.rst): all integers are
// big-endian; requests that list and import go over a connection of their own, URBs follow on
// the connection that imported.
#ifndef HOLDFAST_USBIP_WIRE_H
#define HOLDFAST_USBIP_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define USBIP_VERSION 0x0111
#define USBIP_REQ_IMPORT 0x8003
#define USBIP_REQ_DEVLIST 0x8005
#define USBIP_REP_IMPORT 0x0003
#define USBIP_REP_DEVLIST 0x0005
// Not in USB/IP: a kernel attaches a device whole, but libusb's claims are per interface and
// exclusive between processes. The connection that claimed holds the claim until it closes.
#define USBIP_REQ_CLAIM 0x80F0
#define USBIP_REQ_RELEASE 0x80F1

#define USBIP_CMD_SUBMIT 1
#define USBIP_CMD_UNLINK 2
#define USBIP_RET_SUBMIT 3
#define USBIP_RET_UNLINK 4

#define USBIP_OP_SIZE 8
#define USBIP_BUSID_SIZE 32
#define USBIP_DEVICE_SIZE 312
#define USBIP_HEADER_SIZE 48
#define USBIP_STATUS_BUSY 1
#define USBIP_MAX_DEVICES 64

#define URB_ZERO_PACKET 0x0040

struct wire_device {
    char busid[USBIP_BUSID_SIZE + 1];
    uint32_t busnum;
    uint32_t devnum;
    uint32_t speed;
    uint8_t interface_count;
};

void wire_put16(uint8_t *at, uint16_t value);
void wire_put32(uint8_t *at, uint32_t value);
uint16_t wire_get16(const uint8_t *at);
uint32_t wire_get32(const uint8_t *at);

// Opens a stream to the Unix socket; -1 when nobody listens. `seconds` bounds each read
// (0: none).
int wire_connect(const char *path, int seconds);
// 0 when all bytes went or came, -1 otherwise.
int wire_send_all(int fd, const void *bytes, size_t count);
int wire_receive_all(int fd, void *bytes, size_t count);
// The devices behind a socket, at most `limit`; -1 when the server did not answer.
int wire_list(const char *path, struct wire_device *devices, int limit);
// A connection ready for URBs, or -1. `found` gets what the server imported.
int wire_import(const char *path, const char *busid, struct wire_device *found);
// 0 claimed (`*fd` holds it), 1 busy, -1 gone.
int wire_claim(const char *path, const char *busid, uint32_t interface, int *fd);
void wire_release(int fd, const char *busid, uint32_t interface);

#endif
