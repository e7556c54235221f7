"""The demo, scene by scene."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo import connector
from demo.connector import Answer, CommandFailedError
from demo.picture import Summary, picture
from demo.replica import Replica
from demo.shop import COMPARED, EVENTS, KEYSPACE, ROOT, Shop, running_shop
from demo.terminal import WIDTH, Terminal, bar, columns, padded
from source_planetscale.vstream.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CUSTOMERS = 6000
_REDRAW_SECONDS = 0.1
_INDENT = "     "


class Story:
    """Tells the scenes on a terminal; files are kept in a folder for a second look."""

    def __init__(self, terminal: Terminal, folder: Path) -> None:
        """Begins at scene 1."""
        self._terminal = terminal
        self._folder = folder
        self._scenes = 0

    def tell(self, shop: Shop, started_in: float) -> int:
        """Tells all of it; `started_in` is how many seconds the database took.

        Returns:
            How many rows of replica and source differ in the end.
        """
        shard_rows = {shard: {table: shop.rows(table, shard) for table in COMPARED} for shard in shop.shards}
        self._database(shop, shard_rows, started_in)
        self._write("config.json", {**shop.config, "include_cdc_columns": True})
        self._check()
        self._discover()
        replica = Replica()
        expected = sum(sum(rows.values()) for rows in shard_rows.values())
        first = self._read("first.jsonl", [], expected)
        replica.apply(first.records)
        self._write("state.json", first.run.state)
        self._events(shop)
        second = self._read("second.jsonl", ["--state", "state.json"], 0)
        changes = replica.apply(second.records)
        differences = {
            table: replica.differences(table, compared, shop.texts(table))
            for table, compared in COMPARED.items()
        }
        positions = _positions(first, second, shop.shards)
        self._terminal.line()
        for line in picture(Summary(shard_rows, first, second, changes, differences, positions)):
            self._terminal.line(line)
        return sum(differences.values())

    def _scene(self, title: str, seconds: float | None = None) -> None:
        self._scenes += 1
        time_text = "" if seconds is None else f"<dim>{seconds:.1f} s</dim>"
        self._terminal.line()
        self._terminal.line(
            padded(f"  <cyan>{self._scenes}</cyan>  {title}", WIDTH - 8) + padded(time_text, 8, right=True)
        )

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._terminal.line(_INDENT + line)

    def _write(self, name: str, content: object) -> None:
        (self._folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")

    def _database(self, shop: Shop, rows: Mapping[str, Mapping[str, int]], seconds: float) -> None:
        self._scene("<bold>An embedded PlanetScale</bold>, sharded, with a shop in it", seconds)
        ports = f"MySQL protocol on port {shop.config['mysql_port']}, VStream on {shop.config['grpc_port']}"
        self._say(f"Keyspace <blue>{KEYSPACE}</blue>: {ports}.")
        most = max(sum(tables.values()) for tables in rows.values())
        table = [
            [
                f"<blue>shard {shard}</blue>",
                bar(sum(tables.values()) / most, 24),
                *(f"{count:,} {name}" for name, count in tables.items()),
            ]
            for shard, tables in rows.items()
        ]
        self._say(*columns(table, frozenset({2, 3})))

    def _run(self, arguments: Sequence[str], keep: str, expected: int = 0) -> Answer:
        """Runs a command of the connector and makes it a scene."""
        line, *rest = " ".join(arguments).split(" --state")
        continued = " \\" if rest else ""
        shown = f"<bold>$ source-planetscale {line}{continued}</bold>"
        drawn = 0.0

        def watch(records: int) -> None:
            nonlocal drawn
            if time.monotonic() - drawn >= _REDRAW_SECONDS:
                drawn = time.monotonic()
                self._terminal.live(_progress(shown, records, expected))

        self._terminal.live(f"  <dim>·</dim>  {shown}")
        answer = connector.run(arguments, self._folder, keep, watch)
        self._scene(shown, answer.seconds)
        self._say(*(f"<bold>      --state{part}</bold>" for part in rest))
        return answer

    def _check(self) -> None:
        answer = self._run(["check", "--config", "config.json"], "check.jsonl")
        status = answer.only("CONNECTION_STATUS")["connectionStatus"]
        if status["status"] != "SUCCEEDED":
            raise CommandFailedError(str(status.get("message")))
        self._say("<green>✔ SUCCEEDED</green>: login, database, and a change stream on a shard.")

    def _discover(self) -> None:
        answer = self._run(["discover", "--config", "config.json"], "discover.jsonl")
        streams = answer.only("CATALOG")["catalog"]["streams"]
        self._say(*columns([_described(stream) for stream in streams]))
        configured = [
            {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
            for stream in streams
        ]
        self._write("catalog.json", {"streams": configured})

    def _read(self, keep: str, more: Sequence[str], expected: int) -> Answer:
        arguments = ["read", "--config", "config.json", "--catalog", "catalog.json", *more]
        answer = self._run(arguments, keep, expected)
        rows = [
            [name, f"{answer.rows[name]:,} records", f"{answer.states[name]} states", _statuses(statuses)]
            for name, statuses in answer.statuses.items()
        ]
        self._say(*columns(rows, frozenset({1, 2})))
        return answer

    def _events(self, shop: Shop) -> None:
        self._scene("<bold>Meanwhile, in the shop</bold>")
        rows = []
        for title, statements in EVENTS:
            changed = shop.change(statements)
            verbs = [statement.split(" ", 1)[0] for statement in statements]
            kinds = ", ".join(f"{verbs.count(verb)} {verb}" for verb in dict.fromkeys(verbs))
            rows.append([title, f"<dim>{kinds}</dim>", f"{changed} {'row' if changed == 1 else 'rows'}"])
        self._say(*columns(rows, frozenset({2})))


def _progress(shown: str, rows: int, expected: int) -> str:
    counted = f"  {bar(rows / expected, 20)} {rows:,}" if rows and expected else ""
    return f"  <dim>·</dim>  {shown if not counted else '<bold>reading</bold>'}{counted}"


def _described(stream: Mapping[str, Any]) -> list[str]:
    key = ", ".join(path[0] for path in stream["source_defined_primary_key"])
    return [
        f"<bold>{stream['name']}</bold>",
        f"{len(stream['json_schema']['properties'])} columns",
        f"key {key}",
        f"cursor {stream['default_cursor_field'][0]}",
        ", ".join(stream["supported_sync_modes"]),
    ]


def _statuses(statuses: Sequence[str]) -> str:
    colours = {"COMPLETE": "green", "INCOMPLETE": "red"}
    words = [f"<{colours[s]}>{s}</{colours[s]}>" if s in colours else f"<dim>{s}</dim>" for s in statuses]
    return " → ".join(words)


def _positions(first: Answer, second: Answer, shards: Sequence[str]) -> dict[str, tuple[str, str]]:
    before, after = _shard_positions(first), _shard_positions(second)
    return {shard: (before[shard], after[shard]) for shard in shards}


def _shard_positions(answer: Answer) -> dict[str, str]:
    """The saved position per shard, its server's identifier cut short."""
    saved = answer.run.state[-1]["stream"]["stream_state"]["shards"]
    cursors = (Cursor.decode(entry["cursor"], keyspace=KEYSPACE, shard=name) for name, entry in saved.items())
    return {cursor.shard: _shortened(cursor.position) for cursor in cursors}


def _shortened(position: str) -> str:
    flavor, _, gtids = position.partition("/")
    server, _, numbers = gtids.partition(":")
    return f"{flavor}/{server[:8]}…:{numbers}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo.

    Returns:
        The exit code: 0 if the replica equals the source in the end.
    """
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Check, discover, read, change, read again: a replication on the embedded database.",
    )
    parser.add_argument("--customers", type=int, default=_CUSTOMERS, help="default: %(default)s")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "demo", help="for the files (%(default)s)"
    )
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    terminal = Terminal(sys.stdout)
    terminal.line("<bold>source-planetscale</bold>: from a sharded database to records, twice")
    terminal.live("  <dim>·  starting the embedded database</dim>")
    began = time.monotonic()
    try:
        with running_shop(options.customers) as shop:
            differences = Story(terminal, options.folder).tell(shop, time.monotonic() - began)
    except (CommandFailedError, RuntimeError) as error:
        terminal.line(f"  <red>✘ {error}</red>")
        return 1
    except KeyboardInterrupt:
        terminal.line("  Stopped.")
        return 130
    seconds = time.monotonic() - began
    terminal.line(f"<dim>{seconds:.0f} seconds in all. Every file is in {_relative(options.folder)}.</dim>")
    return 1 if differences else 0


def _relative(folder: Path) -> str:
    return str(folder.relative_to(ROOT)) if folder.is_relative_to(ROOT) else str(folder)
