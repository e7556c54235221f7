"""Lets the commands of an older Vitess be called with the flags of the newest one.

Before Vitess 23 most flags were spelled with underscores, and `--grpc-port` is an unknown one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from integration_tests.vitess.prerequisites import run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FLAG = re.compile(r"^\s+(?:-\w, )?--([\w-]+)", re.MULTILINE)

# The program is found from the script's place because the directory is renamed once it is complete.
WRAPPER = """#!/bin/sh
for argument; do
    shift
    name=${{argument%%=*}}
    case $name in
{cases}
    *) set -- "$@" "$argument"; continue ;;
    esac
    set -- "$@" "$spelled${{argument#"$name"}}"
done
exec "$(dirname "$(readlink -f "$0")")/../{programs}/{name}" "$@"
"""


def take_flags_with_dashes(root: Path, names: Iterable[str]) -> None:
    """Puts a script in the place of each command, which spells its flags as the command knows them.

    Args:
        root: Vitess's root directory. The commands move from its `bin` to its `programs`.
        names: The commands.
    """
    programs = root / "programs"
    programs.mkdir()
    for name in names:
        program = (root / "bin" / name).rename(programs / name)
        flags = FLAG.findall(run([str(program), "--help"], f"{name} does not tell its flags"))
        cases = [f"    --{flag.replace('_', '-')}) spelled=--{flag} ;;" for flag in flags if "_" in flag]
        script = root / "bin" / name
        script.write_text(WRAPPER.format(cases="\n".join(cases), programs=programs.name, name=name))
        script.chmod(0o755)
