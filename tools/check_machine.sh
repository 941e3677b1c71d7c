#!/bin/sh
# Stops with one clear sentence on a machine for which the inference library does not exist.
set -eu
# A 32-bit system may run on a 64-bit kernel (Raspberry Pi OS does), so uname would not tell.
if [ "$(getconf LONG_BIT)" != 64 ]; then
    echo "This is a 32-bit system, and onnxruntime is built for 64-bit systems only:" \
        "install the 64-bit edition of your system (for a Raspberry Pi: Raspberry Pi OS 64-bit, Pi 3 or newer)." >&2
    exit 1
fi
