"""Runs the command and writes on stderr, as one line of JSON, what it took after its imports.

Seconds, CPU seconds, and how many streams and positions it asked for. The arguments are those of the
command: `python -m bench.timed read --config ...`.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

from source_planetscale.run import run
from source_planetscale.sync.replication import Replication
from source_planetscale.vstream.client import VStreamClient

# Imported by the command when it reads, and part of its start-up.
_ = Replication


def main() -> None:
    """Runs the arguments as `source-planetscale` would."""
    calls: Counter[str] = Counter()
    for name in ("open", "current_position"):
        _count(name, calls)
    started, cpu = time.monotonic(), time.process_time()
    try:
        run()
    finally:
        found = {"seconds": time.monotonic() - started, "cpu": time.process_time() - cpu, **calls}
        sys.stderr.write("\n" + json.dumps(found) + "\n")


def _count(name: str, calls: Counter[str]) -> None:
    original = getattr(VStreamClient, name)

    def counting(*args: Any) -> Any:
        calls[name] += 1
        return original(*args)

    setattr(VStreamClient, name, counting)


if __name__ == "__main__":
    main()
