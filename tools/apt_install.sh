#!/bin/sh
# apt_install.sh [--optional] PACKAGE…: installs those that are missing, through sudo when not root.
# Where that cannot be done it says what to install and fails; with --optional it says so and succeeds.
set -eu

failure=1
if [ "${1:-}" = --optional ]; then
    failure=0
    shift
fi

give_up() {
    echo "$1" >&2
    exit "$failure"
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    [ $# -gt 0 ] || exit 0
    give_up "There is no apt here. Install what Debian calls: $*; then try again with PACKAGES= (empty) to skip this step."
fi

missing=
for package in "$@"; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || give_up "Not root and no sudo. As root, run: apt-get install$missing"
    sudo=sudo
    # Optional packages are not worth a question for a password.
    if [ "$failure" = 0 ]; then
        sudo -n true 2>/dev/null || give_up "Left out, sudo asks for a password:$missing"
    fi
fi

echo "Installing:$missing"
# shellcheck disable=SC2086  # the lists are meant to be split
{
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
} || give_up "apt-get could not install:$missing"
