// The library's interface is <libusb.h> itself; programs load it under libusb's own name.
// This header exists because SwiftPM wants one for every C target.
#ifndef HOLDFAST_CSIMULATEDLIBUSB_H
#define HOLDFAST_CSIMULATEDLIBUSB_H

// Environment variable with the path of a USB/IP socket, or of a folder of sockets (*.sock).
#define HOLDFAST_USBIP_VARIABLE "HOLDFAST_USBIP"

#endif
