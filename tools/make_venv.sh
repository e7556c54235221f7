#!/bin/sh
# Usage: make_venv.sh PYTHON DIRECTORY
# Creates a virtual environment with pip; says which package is missing when it cannot.
set -eu
python=$1
directory=$2

rm -rf "$directory"
if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    exec "$python" -m venv "$directory"
fi

# Debian and Ubuntu keep ensurepip in a package of its own. A pip on the machine can stand in.
if "$python" -c 'import venv' 2>/dev/null &&
    "$python" -m pip --python "$python" --version >/dev/null 2>&1; then
    "$python" -m venv --without-pip "$directory"
    exec "$python" -m pip --python "$directory/bin/python" install --quiet pip
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
cat >&2 <<MESSAGE
error: $python comes without the standard modules venv and ensurepip, and without pip.
       Debian and Ubuntu keep them in a package of their own:
           apt install python$version-venv     (or: apt install python3-venv)
       Then run make again.
MESSAGE
exit 1
