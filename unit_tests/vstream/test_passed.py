"""Transactions of other tables are taken by one look at them, with the outcome of taking every event."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.vstream.passed import passed_by
from source_planetscale.vstream.reader import ProtocolError
from unit_tests.support.events import (
    NOON,
    SHARD,
    UUID,
    begin,
    commit,
    ddl,
    fields,
    gtid,
    heartbeat,
    inserted,
    journal,
    other,
    response,
    row,
    statement_event,
    transaction,
    vgtid,
)
from unit_tests.support.readers import Shard, images, reader
from unit_tests.support.reading import after

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from source_planetscale.vstream.wire import vstream_pb2 as wire

FEW = 6
# What a transaction may hold besides; most are of other tables.
BESIDES: Sequence[Callable[[], list[wire.VEvent]]] = (
    *[list] * 12,
    lambda: [fields(at=NOON), inserted(row(1, "one", "x"))],
    lambda: [heartbeat()],
    lambda: [journal(gtid(20), ("-40", "40-80"))],
    lambda: [statement_event("insert into orders values (1)")],
    lambda: [begin()],
)


@dataclass(frozen=True)
class Change:
    """One response, as it is made up.

    Attributes:
        kind: Which of `BESIDES` it holds; one more is a statement, and two more are one of another kind.
        step: How far the number in its binlog file goes on.
        new_file: Whether it stands in the next file, after a restart of the server.
        at: Its time, 0 for none.
    """

    kind: int
    step: int
    new_file: bool
    at: int


CHANGES = st.lists(
    st.builds(
        Change,
        kind=st.integers(0, len(BESIDES) + 1),
        step=st.sampled_from([0, *[1] * 12, 2]),
        new_file=st.sampled_from([*[False] * 12, True]),
        at=st.sampled_from([*[NOON] * 12, 0]),
    ),
    max_size=30,
)


def responses(changes: Sequence[Change], *, numbered: bool, shard: str) -> list[wire.VStreamResponse]:
    found, number, last = [], 0, 5
    for change in changes:
        number = 1 if change.new_file else number + change.step
        last += change.step
        if change.kind == len(BESIDES):
            made = response(vgtid(gtid(last), shard=shard), ddl("alter table orders add extra int"))
        elif change.kind > len(BESIDES):
            made = response(vgtid(gtid(last), shard=shard), other())
        else:
            besides = BESIDES[change.kind]()
            made = response(begin(), *besides, vgtid(gtid(last), shard=shard), commit())
        for event in made.events:
            if not event.HasField("vgtid"):
                event.timestamp = event.timestamp or (change.at and change.at + last)
                if numbered:
                    event.sequence_number, event.event_gtid = number, f"{UUID}:{last}"
        found.append(made)
    return found


def outcome(
    raws: Sequence[bytes], *, quickly: bool, stop: int, track_changes: bool
) -> list[tuple[object, ...]]:
    """What there is to see of a reader after each of the parts."""
    shard = reader(after(5), stop=stop, track_changes=track_changes)
    slowly = patch("source_planetscale.vstream.reader.passed_by", return_value=None)
    seen: list[tuple[object, ...]] = []
    with nullcontext() if quickly else slowly:
        for raw in raws:
            if shard.ended:
                break
            progress = shard.progress
            try:
                found = images(shard.feed_raw(raw))
            except ProtocolError as error:
                return [*seen, (str(error),)]
            seen.append((found, *seen_of(shard), shard.progress > progress))
    return seen


def seen_of(shard: Shard) -> tuple[object, ...]:
    return (
        shard.cursor,
        shard.position,
        shard.transactions,
        shard.newest,
        shard.at_next_file,
        shard.reshaped,
        shard.journal,
        str(shard.finding),
        shard.done,
    )


@settings(deadline=None, max_examples=300)
@given(
    changes=CHANGES,
    sizes=st.lists(st.integers(1, FEW), min_size=30, max_size=30),
    numbered=st.booleans(),
    stop=st.sampled_from([12, 10**6]),
    track_changes=st.booleans(),
)
def test_one_look_at_many_responses_brings_what_each_of_their_events_does(
    changes: list[Change], sizes: list[int], numbered: bool, stop: int, track_changes: bool
) -> None:
    parts = [part.SerializeToString() for part in responses(changes, numbered=numbered, shard=SHARD)]
    raws = []
    for size in sizes:
        raws += [b"".join(parts[:size])] if parts else []
        parts = parts[size:]
    quick = outcome(raws, quickly=True, stop=stop, track_changes=track_changes)
    assert quick == outcome(raws, quickly=False, stop=stop, track_changes=track_changes)


def test_transactions_of_other_tables_are_seen_as_such() -> None:
    passed = passed_by(b"".join(transaction(last).SerializeToString() for last in (6, 7)), SHARD)
    assert passed is not None
    assert (passed.count, passed.entry.gtid) == (2, gtid(7))


@pytest.mark.parametrize(
    "part",
    [
        response(),
        response(begin()),
        response(heartbeat()),
        transaction(6, inserted(row(1, "one", "x"))),
        response(begin(), vgtid(gtid(6), shard="80-"), commit()),
    ],
)
def test_anything_else_is_left_to_a_closer_look(part: wire.VStreamResponse) -> None:
    assert passed_by(part.SerializeToString(), SHARD) is None
