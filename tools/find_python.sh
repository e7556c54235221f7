#!/bin/sh
# Prints a Python that the connector supports; says what is missing when there is none.
# PYTHON=... chooses one.
set -eu

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

tried=""
for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.13 python3.10 python}; do
    if path=$(command -v "$candidate") && fits "$path"; then
        # A wrapper such as pyenv's chooses by directory: ask the interpreter where it is.
        exec "$path" -c 'import sys; print(sys.executable)'
    fi
    tried="$tried $candidate"
done

found=$(python3 --version 2>&1) || found="missing"
cat >&2 <<MESSAGE
error: source-planetscale needs Python 3.10, 3.11, 3.12 or 3.13; python3 here is: $found.
       Tried:$tried
       Install one (Debian, Ubuntu: apt install python3 python3-venv) or name one:
       make PYTHON=/path/to/python3.12 test
MESSAGE
exit 1
