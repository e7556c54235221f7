"""Runs a read under a profiler in the thread that reads a shard; writes the dearest functions to stderr."""

from __future__ import annotations

import cProfile
import pstats
import re
import sys
import time
from pathlib import Path
from unittest.mock import patch

from source_planetscale.run import run
from source_planetscale.sync.shard_thread import ShardThread

_FUNCTIONS = 16


def main() -> None:
    """Runs the arguments as `source-planetscale` would, with one shard."""
    # The thread's own CPU time, without its waits for the server and for the reader of stdout.
    profile = cProfile.Profile(time.thread_time)
    original = ShardThread._run

    def profiled(read: ShardThread) -> None:
        profile.runcall(original, read)

    with patch.object(ShardThread, "_run", profiled):
        run()
    sys.stderr.write(table(profile))


def table(profile: cProfile.Profile) -> str:
    """The dearest functions as a Markdown table, with shares of the thread's CPU time."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # not in the stubs
    total = sum(value[2] for value in stats.values())
    dearest = sorted(stats.items(), key=lambda item: -item[1][2])[:_FUNCTIONS]
    rows = [f"| `{_name(*key)}` | {value[0]:,} | {value[2] / total:.0%} |" for key, value in dearest]
    return "\n".join(
        ["| function | calls | share of the thread's CPU |", "| :--- | ---: | ---: |", *rows, ""]
    )


def _name(file: str, _line: int, function: str) -> str:
    if file == "~":
        return re.sub(r"<(?:built-in )?(?:method )?|>|'| objects| of|\{|\}", "", function).replace(
            "built-in method ", ""
        )
    return f"{Path(file).parent.name}/{Path(file).name}: {function}"


if __name__ == "__main__":
    main()
