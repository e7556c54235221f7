#!/bin/sh
# Usage: make_pyairbyte.sh PYTHON DIRECTORY REQUIREMENTS
# Creates the environment of PyAirbyte, or leaves an empty directory and says why. Never fails:
# nothing but its own tests needs it.
set -eu
python=$1
directory=$2
requirements=$3

stamp=$directory/.requirements
if ! "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
    echo "PyAirbyte needs Python 3.10 to 3.12; its tests will be skipped."
    mkdir -p "$directory" && touch "$stamp"
    exit
fi

echo "Installing PyAirbyte (a minute or two the first time)"
base=$("$python" -c 'import sys; print(sys._base_executable)')
if "$(dirname "$0")/make_venv.sh" "$base" "$directory" &&
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check \
        --only-binary :all: --no-deps --require-hashes -r "$requirements"; then
    touch "$stamp"
else
    # No stamp: the next run tries again.
    echo "PyAirbyte could not be installed; its tests will be skipped."
    rm -rf "$directory"
fi
