#!/bin/sh
# Writes poetry.lock and the requirements files derived from it, with the hashes of every file.
#
# An index that answers with HTML pages only makes `poetry lock` fail ("Expecting value: line 1
# column 1"): set POETRY_PYPI_MIRROR_URL to its simple address for the run. It does not end up
# in the lock file.
set -eu
cd "$(dirname "$0")/.."

venv=$PWD/build/poetry
if [ ! -e "$venv/installed" ]; then
    tools/make_venv.sh "$(tools/find_python.sh)" "$venv"
    "$venv/bin/pip" install --quiet \
        poetry==2.5.1 poetry-plugin-export==1.10.1 poetry-plugin-pypi-mirror==0.6.5
    touch "$venv/installed"
fi

# Poetry needs no environment of the project's to resolve.
export POETRY_VIRTUALENVS_CREATE=false
export="$venv/bin/poetry export --format requirements.txt"

"$venv/bin/poetry" lock "$@"
$export --output requirements.txt
$export --with dev --output requirements-dev.txt

cd tools/pyairbyte
"$venv/bin/poetry" lock "$@"
$export --output requirements.txt
