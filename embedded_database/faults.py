"""Faults made on purpose: what each does to a stream, and which streams it meets."""

from __future__ import annotations

import shlex
import threading
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_TRUE = ("1", "true", "yes", "on")


class FaultKind(Enum):
    """What goes wrong."""

    CUT = "cut"
    STALL = "stall"
    ERROR = "error"
    SLOW = "slow"
    LARGE_MESSAGE = "large_message"
    RESHARD = "reshard"
    PURGE = "purge"
    DOWN = "down"
    HUGE_TRANSACTION = "huge_transaction"


@dataclass
class Fault:
    """One fault.

    CUT, STALL, ERROR, SLOW, LARGE_MESSAGE and RESHARD wait for a stream in their scope; PURGE, DOWN and
    HUGE_TRANSACTION happen at once.

    Attributes:
        keyspace: Only streams of this keyspace, as `shard` and `table` narrow it further; empty means any.
        times: On how many streams it fires; 0 means on each.
        after_bytes: CUT: how many bytes of a stream's responses still arrive.
        after_events: STALL, ERROR, LARGE_MESSAGE: how many events may be sent before, in whole responses.
        after_rows: RESHARD: how many rows are sent before.
        heartbeats: STALL: whether heartbeats go on.
        seconds: STALL: how long; 0 means until the client goes away.
        code: ERROR: the name of the gRPC status.
        message: ERROR: the status text.
        bytes_per_second: SLOW: the rate of responses.
        size: LARGE_MESSAGE: bytes of the message; HUGE_TRANSACTION: number of rows.
        first: HUGE_TRANSACTION: the key of the first row.
        shards: RESHARD: the names of the new shards, separated by blanks.
    """

    kind: FaultKind
    keyspace: str = ""
    shard: str = ""
    table: str = ""
    times: int = 1
    after_bytes: int = 0
    after_events: int = 0
    after_rows: int = 0
    heartbeats: bool = False
    seconds: float = 0.0
    code: str = "UNAVAILABLE"
    message: str = "fault made on purpose"
    bytes_per_second: int = 0
    size: int = 0
    first: int = 1
    shards: str = ""

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Reads `KIND name=value ...`, such as `cut keyspace=shop after_bytes=1000`.

        Raises:
            ValueError: The kind or a name is unknown, or a value is not of its type.
        """
        kind, *pairs = shlex.split(text)
        types = {field.name: str(field.type) for field in fields(cls)}
        values: dict[str, object] = {}
        for pair in pairs:
            name, _, value = pair.partition("=")
            if name not in types or name == "kind":
                raise ValueError(f"a fault has no '{name}'")
            values[name] = _typed(types[name], value)
        return cls(FaultKind(kind), **values)  # type: ignore[arg-type]  # _typed gives each its type

    def meets(self, keyspace: str, shards: Collection[str], tables: Collection[str]) -> bool:
        """Whether a stream is in the fault's scope."""
        return (
            self.keyspace in ("", keyspace)
            and (not self.shard or self.shard in shards)
            and (not self.table or self.table in tables)
        )


def _typed(kind: str, value: str) -> object:
    if kind == "bool":
        return value.lower() in _TRUE
    return {"int": int, "float": float}.get(kind, str)(value)


class Faults:
    """The faults that wait for a stream; safe to use from any thread."""

    def __init__(self) -> None:
        """Starts without any."""
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self._fired: dict[int, int] = {}
        self.cleared = threading.Event()

    def add(self, fault: Fault) -> None:
        """Lets a fault wait."""
        with self._lock:
            self._waiting.append(fault)
            self.cleared.clear()

    def clear(self) -> None:
        """Forgets all faults; streams that one holds up go on."""
        with self._lock:
            self._waiting.clear()
            self._fired.clear()
            self.cleared.set()

    def of(self, keyspace: str, shards: Collection[str], tables: Collection[str]) -> list[Fault]:
        """The faults that a stream may meet."""
        with self._lock:
            return [fault for fault in self._waiting if fault.meets(keyspace, shards, tables)]

    def fire(self, fault: Fault) -> bool:
        """Counts a fault as done on one more stream; False where it has no more times left."""
        with self._lock:
            if not any(fault is waiting for waiting in self._waiting):
                return False
            fired = self._fired[id(fault)] = self._fired.get(id(fault), 0) + 1
            if fault.times and fired >= fault.times:
                self._waiting = [waiting for waiting in self._waiting if waiting is not fault]
            return True
