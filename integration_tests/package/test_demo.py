"""The demo: what it tells, and that what it tells is true."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from demo import connector
from demo.connector import Answer, CommandFailedError
from demo.picture import Summary, picture
from demo.replica import Replica, changed_columns
from demo.shop import ROOT
from demo.terminal import WIDTH, Terminal, bar, columns, plain
from integration_tests.support.command import Run
from integration_tests.support.destination import CURSOR, DELETED_AT

if TYPE_CHECKING:
    from pathlib import Path

ESCAPE = "\x1b"
DELETES = "2026-01-01T00:00:00.000000Z"


class _Screen(io.TextIOWrapper):
    """A terminal that keeps what is written."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        self.seek(0)
        return self.read()


def _record(key: int, cursor: int, **values: object) -> dict[str, object]:
    data = {"id": key, **values, CURSOR: cursor, DELETED_AT: None}
    return {"stream": "t", "data": data, "emitted_at": 0}


def _answer(rows: dict[str, int]) -> Answer:
    lines = [
        json.dumps({"type": "RECORD", "record": {"stream": stream}})
        for stream, count in rows.items()
        for _ in range(count)
    ]
    return Answer(Run(0, lines), seconds=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def told(folder: Path) -> str:
    """What the demo writes to a pipe, for a small shop."""
    finished = subprocess.run(
        [sys.executable, "-m", "demo", "--customers", "120", "--folder", str(folder)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        encoding="utf-8",
        env={"PYTHONUTF8": "1"},
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_the_demo_runs_every_command_and_ends_with_a_replica_that_equals_its_source(told: str) -> None:
    commands = [line.split("source-planetscale ")[1].split()[0] for line in told.splitlines() if "$ " in line]
    assert commands == ["check", "discover", "read", "read"]
    assert told.count("equals the source") == 2
    assert "rows differ" not in told


def test_the_second_read_carries_the_changes_and_nothing_else(told: str, folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "second.jsonl").read_text(encoding="utf-8").splitlines()]
    records = [line["record"] for line in lines if line["type"] == "RECORD"]
    keys = sorted((record["stream"], record["data"]["id"]) for record in records)
    customers = [("customers", key) for key in (7, 42, 42, 900001, 900002)]
    assert keys == customers + [("orders", key) for key in (17, 23, 71, 900001)]
    assert all(str(record["data"][CURSOR]) in told for record in records)


def test_a_pipe_gets_plain_lines_of_a_terminals_width(told: str) -> None:
    assert ESCAPE not in told
    assert "\r" not in told
    assert "<bold>" not in told
    assert max(map(len, told.splitlines())) <= WIDTH


def test_no_color_keeps_a_terminal_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = _Screen()
    Terminal(coloured).line("<red>a</red> <b>")
    assert coloured.shown == "\x1b[31ma\x1b[0m <b>\n"
    monkeypatch.setenv("NO_COLOR", "1")
    uncoloured = _Screen()
    Terminal(uncoloured).line("<red>a</red> <b>")
    assert uncoloured.shown == "a <b>\n"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    screen = _Screen("ascii")
    Terminal(screen).line(f"{plain(bar(0.5, 4))} ✔ → │")
    assert screen.shown == "##.. * > |\n"


def test_a_live_line_is_replaced_on_a_terminal_and_left_out_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen, pipe = _Screen(), io.StringIO()
    for out in (screen, pipe):
        terminal = Terminal(out)
        terminal.live("half")
        terminal.line("done")
    assert screen.shown == "half\r\x1b[2Kdone\n"
    assert pipe.getvalue() == "done\n"


def test_the_columns_of_a_table_are_aligned_by_what_is_seen() -> None:
    rows = columns([["<red>a</red>", "1"], ["bcd", "10"]], frozenset({1}))
    assert [plain(row) for row in rows] == ["a     1", "bcd  10"]


def test_a_replica_follows_the_cursor_and_not_the_order_of_arrival() -> None:
    replica = Replica()
    applied = replica.apply([_record(1, 10, a="new"), _record(1, 5, a="old"), _record(1, 11, a="newest")])
    assert [(change.kind, changed_columns(change)) for _, change in applied] == [
        ("insert", {}),
        ("update", {"a": ("new", "newest")}),
    ]
    assert replica.differences("t", ("id", "a"), [["1", "newest"]]) == 0


def test_a_replica_counts_rows_that_are_missing_superfluous_or_other() -> None:
    replica = Replica()
    replica.apply([_record(1, 1, a="same"), _record(2, 2, a="other"), _record(3, 3, a="superfluous")])
    source = [["1", "same"], ["2", "another"], ["4", "missing"]]
    assert replica.differences("t", ("id", "a"), source) == 3


def test_a_delete_removes_the_row_of_a_replica() -> None:
    replica = Replica()
    deleted = {"stream": "t", "data": {"id": 1, CURSOR: 2, DELETED_AT: DELETES}, "emitted_at": 0}
    assert [change.kind for _, change in replica.apply([_record(1, 1), deleted])] == ["insert", "delete"]
    assert replica.differences("t", ("id",), []) == 0


def test_a_difference_between_replica_and_source_shows_in_the_picture() -> None:
    answer = _answer({"t": 3})
    summary = Summary({"-80": {"t": 1}, "80-": {"t": 2}}, answer, answer, [], {"t": 2}, {"-80": ("a", "b")})
    lines = [plain(line) for line in picture(summary)]
    assert any("✘ 2 rows differ" in line for line in lines)
    assert {len(line) for line in lines} == {WIDTH}


@pytest.mark.parametrize("shards", [1, 2, 3, 4])
@pytest.mark.parametrize("streams", [1, 2, 3])
def test_every_shard_and_stream_has_its_line_in_the_picture(shards: int, streams: int) -> None:
    answer = _answer({f"stream{at}": 1000 + at for at in range(streams)})
    rows = {f"{at}0-": {"stream0": 100 + at} for at in range(shards)}
    summary = Summary(rows, answer, answer, [], dict.fromkeys(answer.rows, 0), {})
    text = "\n".join(map(plain, picture(summary)))
    assert all(f"{100 + at} rows" in text for at in range(shards))
    assert all(f"{1000 + at:,} records" in text for at in range(streams))


def test_a_command_that_fails_ends_the_demo_with_the_commands_own_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match=r"configuration file missing\.json cannot be read"):
        connector.run(["discover", "--config", "missing.json"], tmp_path, "discover.jsonl")
