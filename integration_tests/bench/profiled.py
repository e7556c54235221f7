"""Runs a read under a profiler in the thread that reads a shard; writes the dearest functions to stderr."""

from __future__ import annotations

import cProfile
import pstats
import re
import sys
from pathlib import Path
from unittest.mock import patch

from source_planetscale.run import run
from source_planetscale.shard_read import ShardRead

_FUNCTIONS = 16


def main() -> None:
    """Runs the arguments as `source-planetscale` would, with one shard."""
    profile = cProfile.Profile()
    original = ShardRead._run

    def profiled(read: ShardRead) -> None:
        profile.runcall(original, read)

    with patch.object(ShardRead, "_run", profiled):
        run()
    sys.stderr.write(table(profile))


def table(profile: cProfile.Profile) -> str:
    """The dearest functions as a Markdown table, with shares of the thread's time."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # not in the stubs
    # A lock is held while waiting for the server or for the reader of stdout: no work.
    work = {key: value for key, value in stats.items() if "acquire" not in key[2]}
    total = sum(value[2] for value in work.values())
    dearest = sorted(work.items(), key=lambda item: -item[1][2])[:_FUNCTIONS]
    rows = [f"| `{_name(*key)}` | {value[0]:,} | {value[2] / total:.0%} |" for key, value in dearest]
    return "\n".join(["| function | calls | share of its own time |", "| :--- | ---: | ---: |", *rows, ""])


def _name(file: str, _line: int, function: str) -> str:
    if file == "~":
        return re.sub(r"<(?:built-in )?(?:method )?|>|'| objects| of|\{|\}", "", function).replace(
            "built-in method ", ""
        )
    return f"{Path(file).parent.name}/{Path(file).name}: {function}"


if __name__ == "__main__":
    main()
