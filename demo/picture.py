"""The closing picture, drawn from plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.replica import changed_columns
from demo.terminal import bar, boxed, columns, padded
from integration_tests.support.destination import CURSOR, DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from demo.connector import Answer
    from integration_tests.support.destination import Change

_COLOURS = {"insert": "green", "update": "yellow", "delete": "red"}
_LONGEST_VALUE = 9


@dataclass(frozen=True)
class Summary:
    """What happened.

    Attributes:
        shard_rows: Shard -> rows per stream before the first read.
        first: The first read, and `second` the second.
        changes: Stream and change of each record of the second read.
        differences: Stream -> rows in which replica and source differ in the end.
        positions: Shard -> its position after the first read and after the second one.
    """

    shard_rows: Mapping[str, Mapping[str, int]]
    first: Answer
    second: Answer
    changes: Sequence[tuple[str, Change]]
    differences: Mapping[str, int]
    positions: Mapping[str, tuple[str, str]]


def picture(summary: Summary) -> list[str]:
    """Draws all of it: the way of the rows, the two reads, and what the second one carried."""
    flow = [*_flow(summary), "", *_positions(summary)]
    return [
        *boxed("where the rows are, and where they went", flow),
        *boxed("the two reads", _reads(summary)),
        *boxed("what the second read carried", _carried(summary.changes)),
    ]


def _flow(summary: Summary) -> list[str]:
    shards = [
        f"<blue>shard {shard:<5}</blue> {sum(rows.values()):>7,} rows"
        for shard, rows in summary.shard_rows.items()
    ]
    streams = [f"{name:<10} {rows:>7,} records" for name, rows in summary.first.rows.items()]
    height = max(len(shards), len(streams)) * 2 - 1
    left = _spread(shards, height, _arms(len(shards) * 2 - 1, "━━━━┓", "    ┃", "    ┣", "━━━━┛"))
    right = _spread(streams, height, _arms(len(streams) * 2 - 1, "┏━━▶", "┃   ", "┫   ", "┗━━▶"), after=True)
    middle = height // 2
    name = "<bold>source-planetscale</bold>"
    return [
        padded(a, 31) + (f"━▶ {name} ━" if at == middle else " " * 23) + b
        for at, (a, b) in enumerate(zip(left, right, strict=True))
    ]


def _arms(height: int, first: str, between: str, middle: str, last: str) -> list[str]:
    """The lines that join several ends into one, or spread one into several."""
    arms = [first if at == 0 else last if at == height - 1 else between for at in range(height)]
    arms[height // 2] = middle if height > 1 else first[0] * len(first)
    return arms


def _spread(texts: Sequence[str], height: int, arms: Sequence[str], *, after: bool = False) -> list[str]:
    """Sets every text on a line of its own with an empty one between, its arm beside it."""
    lines = [texts[at // 2] if at % 2 == 0 else "" for at in range(len(texts) * 2 - 1)]
    width = max(len(padded(text, 25)) for text in texts)
    joined = [
        f"{arm} {line}" if after else f"{padded(line, 25)} {arm}"
        for line, arm in zip(lines, arms, strict=True)
    ]
    blank = "" if after else " " * width
    above = (height - len(joined)) // 2
    return [blank] * above + joined + [blank] * (height - len(joined) - above)


def _positions(summary: Summary) -> list[str]:
    rows = [
        [f"<blue>shard {shard}</blue>", "saved position", before, "→", f"<bold>{after}</bold>"]
        for shard, (before, after) in summary.positions.items()
    ]
    return columns(rows)


def _reads(summary: Summary) -> list[str]:
    head = ["<dim>stream", "first read", "", "states", "second read", "states", "replica</dim>"]
    most = max(summary.first.rows.values())
    rows = [head]
    for stream, count in summary.first.rows.items():
        differing = summary.differences[stream]
        verdict = (
            f"<red>✘ {differing} rows differ</red>" if differing else "<green>✔ equals the source</green>"
        )
        rows.append(
            [
                stream,
                f"{count:,}",
                bar(count / most, 14),
                str(summary.first.states[stream]),
                f"{summary.second.rows[stream]:,}",
                str(summary.second.states[stream]),
                verdict,
            ]
        )
    return [*columns(rows, frozenset({1, 3, 4, 5})), "", *_speed(summary)]


def _speed(summary: Summary) -> list[str]:
    first, second = summary.first, summary.second
    per_second = first.rows.total() / max(first.reading_seconds, 1e-3)
    told = (
        ("First read", first, f"<bold>{per_second:,.0f}</bold> rows/s while reading"),
        ("Second read", second, "it began at the saved positions"),
    )
    return [
        f"{name:<12} <bold>{answer.rows.total():>6,}</bold> records in {answer.seconds:.1f} s "
        f"with start-up; {what}."
        for name, answer, what in told
    ]


def _carried(changes: Sequence[tuple[str, Change]]) -> list[str]:
    head = ["<dim>stream", "id", "change", "", CURSOR, DELETED_AT + "</dim>"]
    return columns([head, *(_row(stream, change) for stream, change in changes)], frozenset({1}))


def _row(stream: str, change: Change) -> list[str]:
    colour = _COLOURS[change.kind]
    deleted = change.after[DELETED_AT]
    return [
        stream,
        str(change.after["id"]),
        f"<{colour}>{change.kind}</{colour}>",
        _what(change),
        str(change.after[CURSOR]),
        f"<red>{deleted[:16]}Z</red>" if deleted else "<dim>null</dim>",
    ]


def _what(change: Change) -> str:
    changed = changed_columns(change)
    if changed:
        return ", ".join(f"{name} {_short(old)} → {_short(new)}" for name, (old, new) in changed.items())
    row = change.after
    return str(row.get("name") or f"{row.get('status', '')} {_text(row.get('total', ''))}".strip())


def _short(value: object) -> str:
    text = _text(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _text(value: object) -> str:
    # Prices are the only numbers with a fraction.
    return f"{value:.2f}" if isinstance(value, float) else str(value)
