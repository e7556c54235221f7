"""What is measured, a function for each question."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.channels import ONE_SOCKET, PIPE, WAYS, Way, carried, replayed
from bench.data import (
    KINDS,
    REFERENCE,
    TWENTY_WITH_TEXT,
    Kind,
    add_table,
    change_rows,
    state_of,
)
from bench.many_tables import Many, many_tables
from bench.measure import (
    Cost,
    best,
    discovered,
    files,
    floor_of,
    read,
    run_python,
    timed,
)
from bench.replayed import RECORDED, TABLES
from bench.terms import Line, Size
from embedded_database.relay import Relay, delay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from integration_tests.vitess.cluster import VitessCluster

KEYSPACES = {"one": 1, "two": 2, "sixteen": 16}
_SLOW_READER = 20_000_000
_NOTHING_NEW_TABLES = 28
_SLOW_LINK_SECONDS = 0.01


@dataclass
class Bench:
    """The measurements on one cluster.

    Attributes:
        cluster: The cluster.
        size: How much is read.
        curves: Name -> points (amount, seconds, CPU seconds), for the plot.
        profile: The profile of the reading thread, in Markdown.
    """

    cluster: VitessCluster
    size: Size
    curves: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)
    profile: str = ""
    _added: set[tuple[str, str]] = field(default_factory=set)
    _start_cpu: float = 0.0
    _copy_us: float = 0.0

    def config(self, keyspace: str, **overrides: object) -> dict[str, object]:
        """A configuration that names the shards, as the floor needs it."""
        return self.cluster.config(keyspace, shards=",".join(self.cluster.shards(keyspace)), **overrides)

    def start_up(self) -> Iterator[Line]:
        """What a command takes before it reads its first row."""
        self._table("one", "tiny", REFERENCE, 1)
        with tempfile.TemporaryDirectory() as directory:
            config = files(directory, self.config("one"), ["tiny"])[:2]
            rounds = range(self.size.rounds)
            cdk = best(run_python("-c", "import airbyte_cdk") for _ in rounds)
            spec = best(run_python("-m", "source_planetscale", "spec") for _ in rounds)
            check = best(run_python("-m", "source_planetscale", "check", *config) for _ in rounds)
            start = best(timed(self.config("one"), "tiny") for _ in rounds)
        self._start_cpu = start.own["cpu"]
        yield Line("start-up: `import airbyte_cdk` alone", _both(cdk))
        yield Line("start-up: `spec`", f"{_both(spec)}, {spec.cpu - cdk.cpu:+.2f} s CPU to the CDK alone")
        yield Line("start-up: `check`, both ports", _both(check))
        yield Line("start-up: `read` of a table of one row", _both(start))

    def copy(self) -> Iterator[Line]:
        """The copy beside what receiving alone takes, in turns."""
        self._table("one", "million", REFERENCE, self.size.rows)
        config = self.config("one")
        floors, costs = [], []
        for _ in range(self.size.rounds):
            floors.append(floor_of(config, "million"))
            costs.append(timed(config, "million"))
        floor, cost = best(floors), best(costs)
        yield Line("copy: receiving alone", f"{_both(floor)} for {self.size.rows:,} rows")
        self._copy_us = self._cpu_us(cost, self.size.rows)
        ratio = cost.seconds / floor.seconds
        yield Line(
            "copy: the command, wall with start-up",
            f"{cost.seconds:.2f} s, {ratio:.2f} x receiving",
            "2 x",
            ratio <= 2,
        )
        yield Line(
            "copy: CPU a row, without start-up", f"{self._copy_us:.2f} us", "4.5 us", self._copy_us <= 4.5
        )
        yield Line("copy: rows a second, with start-up", f"{self.size.rows / cost.seconds:,.0f}")

    def objects(self) -> Iterator[Line]:
        """Batches beside an object a row, in one process."""
        self._table("one", "objects", REFERENCE, self.size.kind_rows)
        found = json.loads(
            read(self.config("one"), "objects", module=("bench.objects",), keep_output=True).output
        )
        rows = found["rows"]
        ratio = found["objects"] / found["lines"]
        yield Line("object a row through the CDK", f"{found['objects'] / rows * 1e6:.2f} us CPU a row")
        yield Line(
            "batches of lines, same process and responses",
            f"{found['lines'] / rows * 1e6:.2f} us CPU a row, {ratio:.1f} x the rows",
            "2.5 x",
            ratio >= 2.5,
        )

    def over_sockets(self) -> Iterator[Line]:
        """The copy over Airbyte's sockets beside stdout, all with readers that throw away what they read."""
        self._table("one", "million", REFERENCE, self.size.rows)
        config = self.config("one")
        costs = carried(config, discovered(config, "million"), self.size.rounds)
        us = {way: self._cpu_us(cost, self.size.rows) for way, cost in costs.items()}
        for way, cost in costs.items():
            figures = f"{us[way]:.2f} us CPU a row, {self.size.rows / cost.own['seconds']:,.0f} rows a second"
            if way == PIPE:
                yield Line(f"copy over {way}", figures)
                continue
            ratio = us[way] / us[ONE_SOCKET]
            yield Line(
                f"copy over {way}",
                f"{figures}, {ratio:.2f} x the CPU of lines over one",
                "1.15 x",
                ratio <= 1.15,
            )

    def recorded(self) -> Iterator[Line]:
        """The same without waiting for a server: copies of a recorded stream, over each channel."""
        self._table("one", RECORDED, REFERENCE, self.size.kind_rows)
        config = self.config("one")
        stream = discovered(config, RECORDED)
        streams = [{**stream, "name": name} for name in TABLES]
        by_workers = [Way(serialization, 2, 2) for serialization in ("JSONL", "PROTOBUF")]
        costs: dict[Way, list[Cost]] = {way: [] for way in (*WAYS, *by_workers)}
        with tempfile.TemporaryDirectory() as directory:
            recording = f"{directory}/recording"
            options = files(directory, config, [stream])
            run_python("-m", "bench.replayed", "record", recording, *options)
            for _ in range(self.size.rounds):
                for way, found in costs.items():
                    found.append(replayed(way, recording, config, streams))
        least = {way: best(found).own["seconds"] for way, found in costs.items()}
        rows = len(TABLES) * self.size.kind_rows
        for way in (*WAYS, *by_workers):
            faster = least[PIPE] / least[way]
            figures = f"{rows / least[way]:,.0f} rows a second, {faster:.2f} x stdout"
            if not way.processes:
                yield Line(f"recorded stream over {way}", figures)
                continue
            quicker = least[way._replace(processes=0)] / least[way]
            yield Line(
                f"recorded stream over {way}, two workers",
                f"{figures}, {quicker:.2f} x one process",
                "1.7 x one process, more than stdout",
                quicker >= 1.7 and faster > 1,
            )

    def catch_up(self) -> Iterator[Line]:
        """Changed rows, in transactions of several sizes."""
        config = self.config("one")
        self._table("one", "changing", REFERENCE, self.size.changes)
        for rows_each in (self.size.changes // 4, 100, 10, 1):
            rows = self.size.changes if rows_each > 1 else self.size.changes // 10
            state = state_of(config, ["changing"], self.cluster.shards("one"))
            change_rows(self.cluster, "one", "changing", rows, rows_each)
            floor = best(floor_of(config, "changing", state) for _ in range(self.size.rounds))
            cost = best(timed(config, "changing", state=state) for _ in range(self.size.rounds))
            us = self._cpu_us(cost, rows)
            ratio = us / self._copy_us
            yield Line(
                f"catch-up: {rows:,} rows, {rows_each:,} in a transaction",
                f"{us:.2f} us CPU a row ({floor.cpu / rows * 1e6:.2f} us to receive), {ratio:.2f} x the copy",
                "1.5 x",
                ratio <= 1.5,
            )

    def kinds(self) -> Iterator[Line]:
        """Tables of every kind."""
        config = self.config("one")
        for number, kind in enumerate(KINDS):
            table = f"kind_{number}"
            self._table("one", table, kind, self.size.kind_rows)
            floor = floor_of(config, table)
            cost = best(timed(config, table) for _ in range(self.size.rounds))
            us = self._cpu_us(cost, self.size.kind_rows)
            size = floor.peak_mb / self.size.kind_rows * 1e6
            yield Line(
                f"kind: {kind.name}, {len(kind.columns) + 1} columns, {size:.0f} bytes a row",
                f"{us:.2f} us CPU a row, {us / (len(kind.columns) + 1):.2f} us a value, "
                f"{us * 1000 / size:.1f} ns a byte",
            )

    def selected(self) -> Iterator[Line]:
        """A copy of every column, of all but a large text, and of a table that has no such text."""
        rows, config = self.size.kind_rows // 5, self.config("one")
        without = {name: column for name, column in TWENTY_WITH_TEXT.columns.items() if name != "body"}
        self._table("one", "letters", TWENTY_WITH_TEXT, rows)
        self._table("one", "envelopes", Kind("19 columns", without), rows)
        whole = discovered(config, "letters")
        reads = {
            "every column": whole,
            "all but the text": _without(whole, "body"),
            "a table without it": discovered(config, "envelopes"),
        }
        costs: dict[str, list[Cost]] = {what: [] for what in reads}
        for _ in range(self.size.rounds):
            for what, stream in reads.items():
                costs[what].append(timed(config, stream))
        everything, selected, never = (best(found).own for found in costs.values())
        for what, own in zip(reads, (everything, selected, never), strict=True):
            yield Line(
                f"selected of {TWENTY_WITH_TEXT.name}: {what}",
                f"{own['seconds']:.2f} s after the imports, {own['cpu']:.2f} s CPU for {rows:,} rows",
            )
        cpu = (selected["cpu"] - never["cpu"]) / (everything["cpu"] - never["cpu"])
        yield Line(
            "selected: what the text costs that nobody wants",
            f"{cpu:.0%} of its CPU, {everything['seconds'] / selected['seconds']:.1f} x as quick as with it",
            "10%",
            cpu <= 0.1,
        )

    def memory(self) -> Iterator[Line]:
        """The peak of the process, whatever is read."""
        self._table("one", "kind_0", REFERENCE, self.size.kind_rows)
        self._table("one", "million", REFERENCE, self.size.rows)
        self._table("one", "huge", REFERENCE, self.size.many_rows)
        self._table("sixteen", "spread", REFERENCE, self.size.kind_rows)
        slowly = f"stdout read at {_SLOW_READER // 10**6} MB/s"
        cases: list[tuple[str, Cost]] = [
            (f"{self.size.kind_rows:,} rows", read(self.config("one"), "kind_0")),
            (f"{self.size.rows:,} rows", read(self.config("one"), "million")),
            (f"{self.size.many_rows:,} rows", read(self.config("one"), "huge")),
            (f"{self.size.kind_rows * 16:,} rows of 16 shards", read(self.config("sixteen"), "spread")),
            (
                f"{self.size.rows:,} rows, {slowly}",
                read(self.config("one"), "million", bytes_per_second=_SLOW_READER),
            ),
            (
                f"{self.size.kind_rows * 16:,} rows of 16 shards, {slowly}",
                read(self.config("sixteen"), "spread", bytes_per_second=_SLOW_READER),
            ),
        ]
        for what, cost in cases:
            yield Line(f"memory: {what}", f"peak {cost.peak_mb:.0f} MB", "150 MB", cost.peak_mb < 150)

    def side_by_side(self) -> Iterator[Line]:
        """Shards whose links are slow, one and four of them."""
        self._table("sixteen", "spread", REFERENCE, self.size.kind_rows)
        shards = self.cluster.shards("sixteen")
        seconds = {}
        with Relay(self.cluster.grpc_port) as relay:
            relay.always(delay(_SLOW_LINK_SECONDS))
            for count in (1, 4):
                config = self.cluster.config("sixteen", shards=",".join(shards[:count]), grpc_port=relay.port)
                seconds[count] = read(config, "spread").seconds
        ratio = seconds[4] / seconds[1]
        yield Line(
            "4 shards on slow links beside 1",
            f"{seconds[4]:.1f} s and {seconds[1]:.1f} s, {ratio:.2f} x",
            "close to 1",
            ratio < 1.3,
        )

    def nothing_new(self) -> Iterator[Line]:
        """A sync that finds nothing to read."""
        tables = [f"still_{number}" for number in range(_NOTHING_NEW_TABLES)]
        for table in tables:
            self._table("two", table, Kind("narrow", {"qty": ("int", "n")}), 10)
        config = self.config("two")
        state = state_of(config, tables, self.cluster.shards("two"))
        counted = timed(config, *tables, state=state).own
        lookups, streams = counted.get("current_position", 0), counted.get("open", 0)
        yield Line(
            f"nothing new: {_NOTHING_NEW_TABLES} tables on 2 shards",
            f"{counted['seconds']:.2f} s after the imports, {lookups} position lookups, {streams} streams",
            "1 s, 1 lookup a shard",
            counted["seconds"] < 1 and lookups == 2 and streams == 0,
        )

    def many_tables(self) -> Iterator[Line]:
        """A busy log in which each of some tables has one change, beside a client of the same stream."""
        self._table("one", "elsewhere", Kind("narrow", {"qty": ("int", "n")}), self.size.commits)
        config, found = self.config("one"), dict[int, Many]()
        for many in many_tables(self.cluster, "one", config, self.size):
            found[many.tables] = many
            # A line of the log and a state for each table weigh more where there are many of them.
            ratio, limit = many.cpu / many.client_cpu, 1 if many.tables < 100 else 1.5
            yield Line(
                f"many tables: {many.tables} with a change each after {self.size.commits:,} foreign commits",
                f"{many.seconds:.2f} s wall, {many.cpu:.2f} s CPU beyond a sync that finds nothing new, "
                f"{ratio:.2f} x the CPU of a client that parses the same stream; peak {many.peak_mb:.0f} MB, "
                f"{many.streams} stream(s)",
                f"{limit} x, 150 MB, 1 stream",
                ratio <= limit and many.peak_mb < 150 and many.streams == 1,
            )
        one, *more = found.values()
        for many, goal in zip(more, (1.5, 2.5), strict=True):
            wall, cpu = many.seconds / one.seconds, many.cpu / one.cpu
            yield Line(
                f"many tables: {many.tables} beside 1",
                f"{wall:.2f} x wall, {cpu:.2f} x CPU",
                f"{goal} x",
                max(wall, cpu) <= goal,
            )
            yield Line(
                f"many tables: nothing new in {many.tables}",
                f"{many.nothing_new:.2f} s after the imports",
            )

    def linear(self) -> Iterator[Line]:
        """The cost over rows and over tables."""
        config = self.config("one")
        for share in (16, 8, 4, 2, 1):
            rows = self.size.rows // share
            table = "million" if share == 1 else f"part_{share}"
            self._table("one", table, REFERENCE, rows)
            self._point("rows", rows, config, [table])
        tables = [f"many_{number}" for number in range(64)]
        for table in tables:
            self._table("one", table, Kind("narrow", {"qty": ("int", "n")}), 100)
        for count in (4, 16, 32, 64):
            self._point("tables", count, config, tables[:count])
        for name, points in self.curves.items():
            (first, _, low), *_, (last, _, high) = points
            each = (high - low) / (last - first)
            unit = f"{each * 1e6:.2f} us" if name == "rows" else f"{each * 1e3:.1f} ms"
            yield Line(f"linear in {name}, {first:,} to {last:,}", f"{unit} CPU for each more")

    def hot_path(self) -> Iterator[Line]:
        """Where the reading thread spends its time."""
        self._table("one", "million", REFERENCE, self.size.rows)
        with tempfile.TemporaryDirectory() as directory:
            options = files(directory, self.config("one"), ["million"])
            done = subprocess.run(
                [sys.executable, "-m", "bench.profiled", "read", *options],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=True,
                text=True,
            )
        self.profile = done.stderr[done.stderr.index("| function") :]
        yield from ()

    def _table(self, keyspace: str, name: str, kind: Kind, rows: int) -> None:
        """Adds a table, unless an earlier section did."""
        if (keyspace, name) not in self._added:
            self._added.add((keyspace, name))
            add_table(self.cluster, keyspace, name, kind, rows)

    def _cpu_us(self, cost: Cost, rows: int) -> float:
        """Microseconds of CPU a row, without imports and what a read of one row takes."""
        return (cost.own["cpu"] - self._start_cpu) / rows * 1e6

    def _point(self, curve: str, amount: int, config: dict[str, object], tables: Sequence[str]) -> None:
        own = best(timed(config, *tables) for _ in range(self.size.rounds)).own
        self.curves.setdefault(curve, []).append((amount, own["seconds"], own["cpu"]))


def _without(stream: Mapping[str, Any], column: str) -> Mapping[str, object]:
    """A stream that leaves a column out."""
    schema = stream["json_schema"]
    properties = {name: found for name, found in schema["properties"].items() if name != column}
    return {**stream, "json_schema": {**schema, "properties": properties}}


def _both(cost: Cost) -> str:
    return f"{cost.seconds:.2f} s wall, {cost.cpu:.2f} s CPU"


SECTIONS = (
    "start_up",
    "copy",
    "objects",
    "over_sockets",
    "recorded",
    "catch_up",
    "kinds",
    "selected",
    "memory",
    "side_by_side",
    "nothing_new",
    "many_tables",
    "linear",
    "hot_path",
)


def measure(bench: Bench, sections: Sequence[str]) -> Iterator[Line]:
    """Runs sections in order; some need the tables and figures of those before."""
    for section in sections:
        started = time.monotonic()
        yield from getattr(bench, section)()
        sys.stderr.write(f"{section}: {time.monotonic() - started:.0f} s\n")
