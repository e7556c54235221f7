"""Reads tables from a recorded stream: the command as it is, without a server that it waits for.

`python -m bench.replayed record FILE --config ... --catalog ...` receives the copy of a table and keeps it.
`python -m bench.replayed FILE read --config ... --catalog ...` reads tables each of which gets that copy, and
tells of itself as `bench.timed` does.
`python -m bench.replayed FILE worker FD` is a worker of that.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from unittest.mock import patch

from bench.floor import responses
from source_planetscale.mysql.database import Database
from source_planetscale.vstream.client import VStreamClient
from source_planetscale.workers import process

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor

RECORDED = "objects"
# As long as the name that stands in the recorded responses.
TABLES = tuple(f"objec{number:02}" for number in range(20))


class _Call:
    def __init__(self, raws: Sequence[bytes]) -> None:
        self._raws = raws

    def __iter__(self) -> Iterator[bytes]:
        yield from self._raws

    def cancel(self) -> None:
        """Nothing is open."""


class _Tables(Database):
    def tables(self, names: Collection[str] | None = None, shard: str | None = None) -> list[Table]:
        (table,) = super().tables({RECORDED}, shard)
        return [replace(table, name=name) for name in TABLES if names is None or name in names]


def _streams(raws: Sequence[bytes]) -> type[VStreamClient]:
    class Recorded(VStreamClient):
        def open(  # type: ignore[override]  # another kind of call
            self,
            cursor: Cursor,  # noqa: ARG002 - always the whole copy
            tables: Sequence[str],
            lane: str,  # noqa: ARG002
            columns: Mapping[str, Sequence[str]] = MappingProxyType({}),  # noqa: ARG002
        ) -> _Call:
            (table,) = tables
            return _Call([raw.replace(RECORDED.encode(), table.encode()) for raw in raws])

        def current_position(self, table: str, shard: str, timeout: float) -> str:  # noqa: ARG002
            return "MySQL56/"

    return Recorded


def main() -> None:
    """Records, reads, or works for a read."""
    recording, what, *more = sys.argv[1:]
    if recording == "record":
        Path(what).write_bytes(pickle.dumps(list(responses(more))))
        return
    raws = pickle.loads(Path(recording).read_bytes())  # noqa: S301 - of this program
    sys.argv = [sys.argv[0], *more] if what == "worker" else [sys.argv[0], what, *more]
    with (
        patch("source_planetscale.connections.VStreamClient", _streams(raws)),
        patch("source_planetscale.connections.Database", _Tables),
        patch("source_planetscale.workers.crew.WORKER", ("bench.replayed", recording, "worker")),
    ):
        if what == "worker":
            process.main()
        else:
            # A worker does without the CDK.
            from bench import timed

            timed.main()


if __name__ == "__main__":
    main()
