// libusb 1.0. Its header comes from pkg-config's include path.
#pragma once

#include <libusb.h>
