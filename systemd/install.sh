#!/bin/sh
# install.sh [--desktop]: installs or updates the daemon from this checkout and starts it at every boot.
#
# Into /opt/edge-tts go a virtual environment and the voices, into /etc/edge-tts the configuration, which an update
# leaves as it is. With --desktop it runs in each user's session instead, where PipeWire or PulseAudio is.
# With DESTDIR set it only copies files below that folder, as a packager wants it. PACKAGES= (empty) leaves apt out.
set -eu
umask 022

root=$(cd "$(dirname "$0")/.." && pwd)
DESTDIR=${DESTDIR:-}
opt=$DESTDIR/opt/edge-tts
etc=$DESTDIR/etc/edge-tts
lib=$DESTDIR/usr/local/lib
unit=edge-tts.service

case ${1:-} in
"") ;;
--desktop) unit=edge-tts-user.service ;;
*)
    echo "usage: sudo systemd/install.sh [--desktop]" >&2
    exit 2
    ;;
esac

"$root/tools/check_machine.sh"
if [ -z "$DESTDIR" ] && [ "$(id -u)" != 0 ]; then
    echo "install.sh writes to /opt, /etc and systemd: run it as root, e.g. sudo systemd/install.sh" >&2
    exit 1
fi

copy_voices() {
    mkdir -p "$opt/models_int8"
    # One by one, so that voices a person has added stay.
    for voice in "$root"/models_int8/*/; do
        [ -e "$voice/voice.json" ] || continue
        target=$opt/models_int8/$(basename "$voice")
        rm -rf "$target.new"
        cp -R "$voice" "$target.new"
        rm -rf "$target"
        mv "$target.new" "$target"
    done
}

copy_configuration() {
    mkdir -p "$etc"
    if [ -e "$etc/config.toml" ]; then
        install -m 644 "$root/systemd/config.toml" "$etc/config.toml.default"
        echo "Kept $etc/config.toml; this version's defaults are in $etc/config.toml.default"
    else
        install -m 644 "$root/systemd/config.toml" "$etc/config.toml"
    fi
}

copy_system_files() {
    mkdir -p "$lib/systemd/system" "$lib/systemd/user" "$lib/sysusers.d" "$lib/udev/rules.d"
    install -m 644 "$root/systemd/edge-tts.service" "$lib/systemd/system/edge-tts.service"
    install -m 644 "$root/systemd/edge-tts-user.service" "$lib/systemd/user/edge-tts-user.service"
    install -m 644 "$root/systemd/edge-tts.sysusers" "$lib/sysusers.d/edge-tts.conf"
    install -m 644 "$root/systemd/99-edge-tts.rules" "$lib/udev/rules.d/99-edge-tts.rules"
    install -m 755 "$root/systemd/uninstall.sh" "$opt/uninstall.sh"
    install -m 644 "$root/LICENSE" "$root/README.md" "$opt/"
}

install_program() {
    # A copy, because pip leaves build folders, owned by root, beside what it installs.
    source=$(mktemp -d)
    trap 'rm -rf "$source"' EXIT
    cp -R "$root/edge_tts" "$root/setup.cfg" "$root/pyproject.toml" "$root/LICENSE" "$root/README.md" "$source"
    # The service cannot see an interpreter in somebody's home (ProtectHome), such as pyenv's.
    PATH=/usr/local/bin:/usr/bin:/bin "$root/tools/make_venv.sh" "$opt/venv" "${source}[resample]"
    case $(readlink -f "$opt/venv/bin/python") in
    /home/* | /root/*)
        echo "The service cannot use an interpreter in a home folder: name another one with PYTHON=" >&2
        exit 1
        ;;
    esac
    mkdir -p "$opt/venv/share/edge-tts" "$DESTDIR/usr/local/bin"
    ln -sfn ../../../models_int8 "$opt/venv/share/edge-tts/models_int8"
    ln -sfn /opt/edge-tts/venv/bin/edge-ttsd "$DESTDIR/usr/local/bin/edge-ttsd"
}

start_at_boot() {
    systemd-sysusers "$lib/sysusers.d/edge-tts.conf"
    running=
    [ ! -d /run/systemd/system ] || running=yes
    if [ -n "$running" ]; then
        systemctl daemon-reload
        if command -v udevadm >/dev/null; then
            udevadm control --reload
            udevadm trigger --subsystem-match=tty
        fi
    fi
    if [ "$unit" = edge-tts.service ]; then
        systemctl --global disable edge-tts-user.service 2>/dev/null || true
        systemctl enable "$unit"
        # Not waited for: the first start measures the voice, and a broker may not be there yet.
        [ -z "$running" ] || systemctl restart --no-block "$unit"
    else
        [ -z "$running" ] || systemctl stop edge-tts.service
        systemctl disable edge-tts.service 2>/dev/null || true
        systemctl --global enable "$unit"
        echo "It starts with each user's next login; now, as that user: systemctl --user restart edge-tts-user"
    fi
}

mkdir -p "$opt"
copy_voices
copy_configuration
copy_system_files
[ -z "$DESTDIR" ] || exit 0

# shellcheck disable=SC2086  # the list is meant to be split
"$root/tools/apt_install.sh" ${PACKAGES-libportaudio2 python3-venv}
install_program
start_at_boot
cat <<EOM
Installed. Configuration: /etc/edge-tts/config.toml   Log: journalctl -u edge-tts -f
Next: edge-ttsd doctor    (says what is missing, e.g. a broker: apt install mosquitto)
EOM
