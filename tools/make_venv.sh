#!/bin/sh
# make_venv.sh FOLDER PIP-ARGUMENTS…: makes a virtual environment if FOLDER is none yet, and installs into it with pip.
# The interpreter is $PYTHON, else the first of python3, python3.13 … python3.10 that is new enough.
set -eu
folder=$1
shift

new_enough() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.10 or newer is needed, but ${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>&1 || true):" \
        "install one and name it, e.g. make run PYTHON=/usr/local/bin/python3.12" >&2
    return 1
}

if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    # Without ensurepip an environment is left behind half made.
    "$python" -m venv --clear "$folder" || {
        rm -rf "$folder"
        echo "$python could not make a virtual environment: on Debian and Ubuntu, apt install python3-venv" >&2
        exit 1
    }
fi
echo "Installing into $folder (the first time this takes a minute or two)"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
