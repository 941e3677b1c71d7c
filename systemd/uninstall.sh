#!/bin/sh
# uninstall.sh [--purge]: stops the daemon and removes what install.sh installed. Configuration, voices and state stay;
# with --purge they and the user edge-tts go too. With DESTDIR set it only removes files below that folder.
set -eu

DESTDIR=${DESTDIR:-}
purge=

# In a function, because the script may remove the file it is read from.
main() {
    case ${1:-} in
    "") ;;
    --purge) purge=yes ;;
    *)
        echo "usage: sudo uninstall.sh [--purge]" >&2
        exit 2
        ;;
    esac
    if [ -z "$DESTDIR" ]; then
        if [ "$(id -u)" != 0 ]; then
            echo "uninstall.sh changes /opt, /etc and systemd: run it as root" >&2
            exit 1
        fi
        [ ! -d /run/systemd/system ] || systemctl stop edge-tts.service 2>/dev/null || true
        systemctl disable edge-tts.service 2>/dev/null || true
        systemctl --global disable edge-tts-user.service 2>/dev/null || true
    fi
    lib=$DESTDIR/usr/local/lib
    rm -f "$lib/systemd/system/edge-tts.service" "$lib/systemd/user/edge-tts-user.service"
    rm -f "$lib/sysusers.d/edge-tts.conf" "$lib/udev/rules.d/99-edge-tts.rules" "$DESTDIR/usr/local/bin/edge-ttsd"
    opt=$DESTDIR/opt/edge-tts
    rm -rf "$opt/venv" "$opt/uninstall.sh" "$opt/LICENSE" "$opt/README.md"
    if [ -n "$purge" ]; then
        rm -rf "$opt" "$DESTDIR/etc/edge-tts" "$DESTDIR/var/lib/edge-tts"
    fi
    if [ -z "$DESTDIR" ]; then
        if [ -d /run/systemd/system ]; then
            systemctl daemon-reload
            ! command -v udevadm >/dev/null || udevadm control --reload
        fi
        if [ -n "$purge" ] && id edge-tts >/dev/null 2>&1; then
            userdel edge-tts
        fi
    fi
    [ -n "$purge" ] || echo "Removed, but for /etc/edge-tts, /opt/edge-tts/models_int8 and /var/lib/edge-tts (--purge)."
    exit 0
}

main "$@"
