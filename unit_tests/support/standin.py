"""The command with a fake vtgate behind it, for tests that need a process of its own.

Usage: `python -m unit_tests.support.standin SCENARIO COMMAND ...`.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from typing import TYPE_CHECKING

from source_planetscale.run import run
from unit_tests.support.events import (
    SHARD,
    begin,
    commit,
    fields,
    gtid,
    inserted,
    response,
    row,
    small_copy,
    vgtid,
)
from unit_tests.support.fakes import SILENCE, FakeDatabase, FakeVtgate, stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source_planetscale.vstream.cursor import Cursor
    from unit_tests.support.fakes import Item


def _endless(_cursor: Cursor) -> Iterator[Item]:
    yield from small_copy(last=1)
    for number in itertools.count(1):
        rows = inserted(*(row(key, "x" * 20, None) for key in range(50)))
        yield response(begin(), fields(), rows, vgtid(gtid(number)), commit())


def _replace(name: str, value: object) -> None:
    module, _, attribute = name.rpartition(".")
    setattr(importlib.import_module(module), attribute, value)


SCENARIOS = {
    "copy": FakeVtgate({SHARD: [small_copy(row(1, "one", "x"))]}),
    "endless": FakeVtgate({SHARD: _endless}, current=gtid(10**9)),
    "waiting": FakeVtgate({SHARD: [[*small_copy(row(1, "one", "x"), last=1), SILENCE]]}, current=gtid(9)),
}

if __name__ == "__main__":
    stand_in(SCENARIOS[sys.argv[1]], FakeDatabase(), _replace)
    run(sys.argv[2:])
