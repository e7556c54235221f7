"""Select lists: which tables have one, and that nothing read by one is wrong, twice, or lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.endpoint import TabletType
from source_planetscale.follow import selections
from source_planetscale.follow.member import Member
from source_planetscale.mysql.database import BinlogStatus
from source_planetscale.shape import shape_of
from source_planetscale.table import Column, Table
from source_planetscale.vstream.errors import VStreamError
from unit_tests.support import following
from unit_tests.support.events import (
    KEYSPACE,
    NOON,
    SHARD,
    TABLE,
    UUID,
    ddl,
    fields,
    gtid,
    inserted,
    journal,
    response,
    row,
    small_copy,
    transaction,
    vgtid,
)
from unit_tests.support.fakes import FakeDatabase, FakeVtgate
from unit_tests.support.following import scripted
from unit_tests.support.reading import ONE, START, TWO, after

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from source_planetscale.vstream.cursor import Cursor
    from unit_tests.support.fakes import Script
    from unit_tests.support.following import Followed

NARROW = replace(TABLE, columns=TABLE.columns[:2])
WANTED = frozenset({"id", "label"})
ASKED = {"orders": ("id", "label")}
PARTS = replace(TABLE, name="parts")
# A copy in the order of an ENUM cannot be taken up in the middle.
BY_SIZE = replace(TABLE, columns=(Column("id", "enum('a','b')", "", False), *TABLE.columns[1:]))

pytestmark = pytest.mark.usefixtures("no_waits")


@pytest.fixture
def _worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "WORTH_A_STREAM_BYTES", 0)


def followed(vtgate: FakeVtgate, *members: Member, database: FakeDatabase | None = None) -> Followed:
    return following.followed(vtgate, *members, database=database, track_changes=True)


def member(cursor: Cursor = START, table: Table = TABLE) -> Member:
    return Member(table, cursor, wanted=WANTED)


COPIED = small_copy(row(1, "one"), row(2, "two"), table=NARROW)


# Which tables have one.


def test_a_copy_has_its_list_from_the_start() -> None:
    vtgate = scripted(COPIED)
    result = followed(vtgate, member())
    assert vtgate.columns == [ASKED]
    assert result.rows == [{"id": b"1", "label": b"one"}, {"id": b"2", "label": b"two"}]
    assert result.ended["orders"].cursor.shape == shape_of(TABLE.columns)


@pytest.mark.parametrize(
    "other",
    [
        Member(TABLE, START),
        Member(TABLE, START, wanted=frozenset({"id", "label", "note"})),
        Member(TABLE, after(5, ONE), wanted=WANTED, renames={"label": "note", "note": "label"}),
        Member(TABLE, replace(after(5, ONE), shape=shape_of(TABLE.columns[::-1])), wanted=WANTED),
        Member(BY_SIZE, START, wanted=WANTED),
    ],
    ids=["no selection", "all selected", "renamed since", "another shape", "a key that cannot resume"],
)
def test_a_copy_has_no_list_where_there_is_no_use_or_no_certainty(other: Member) -> None:
    vtgate = FakeVtgate({SHARD: lambda _cursor: small_copy(ONE, TWO)})
    assert followed(vtgate, other).errors == {}
    assert not any(vtgate.columns)


@pytest.mark.parametrize(
    "database",
    [
        FakeDatabase(status=BinlogStatus(f"{UUID}:1-1000", "", full_images=False)),
        FakeDatabase(found=[replace(TABLE, columns=TABLE.columns[::-1])]),
        FakeDatabase(found=[]),
    ],
    ids=["reduced images", "another table on the shard", "no table on the shard"],
)
def test_a_copy_has_no_list_where_the_server_may_not_understand_it(database: FakeDatabase) -> None:
    vtgate = scripted(small_copy(ONE, TWO))
    assert followed(vtgate, member(), database=database).ids == {"orders": [1, 2]}
    assert vtgate.columns == [{}]


def test_replicas_whose_table_cannot_be_asked_for_have_no_lists() -> None:
    vtgate = scripted(small_copy(ONE, TWO))
    vtgate.keyspace = replace(vtgate.keyspace, tablet_type=TabletType.REPLICA)
    assert followed(vtgate, member()).ids == {"orders": [1, 2]}
    assert vtgate.columns == [{}]


def test_catch_up_begins_with_all_columns_and_has_a_list_once_it_is_worth_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selections, "WORTH_A_STREAM_BYTES", 3)
    monkeypatch.setattr("source_planetscale.vstream.bundle.Bundle.due", lambda _bundle, _now: True)
    large = transaction(6, fields(at=NOON), inserted(row(1, "one", "x" * 3)))
    vtgate = scripted(
        [large, transaction(7, inserted(TWO))],
        [transaction(7, fields(NARROW, at=NOON), inserted(row(2, "two"))), transaction(10)],
    )
    result = followed(vtgate, member(after(5)))
    assert vtgate.columns == [{}, ASKED]
    assert (result.ids, result.errors) == ({"orders": [1, 2]}, {})


def test_what_a_few_changes_bring_is_not_worth_a_list() -> None:
    vtgate = scripted([transaction(6, fields(at=NOON), inserted(ONE)), transaction(10)])
    assert followed(vtgate, member(after(5))).ids == {"orders": [1]}
    assert vtgate.columns == [{}]


# What the server or the proof refuses is read with all columns.


@pytest.mark.usefixtures("_worth_it")
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("UNKNOWN", "column label not found in table orders"),
        ("UNKNOWN", "cannot use column names in vstream filter as the current table schema for table orders"),
        ("FAILED_PRECONDITION", "column label not found in table orders"),
    ],
)
def test_a_list_that_the_server_refuses_is_no_failure(code: str, words: str) -> None:
    error = VStreamError(grpc.StatusCode[code], words)
    vtgate = scripted([error], [transaction(6, fields(at=NOON), inserted(ONE)), transaction(10)])
    result = followed(vtgate, member(after(5)))
    assert vtgate.columns == [ASKED, {}]
    assert (result.ids, result.errors) == ({"orders": [1]}, {})


@pytest.mark.usefixtures("_worth_it")
def test_only_the_table_that_is_named_loses_its_list() -> None:
    error = VStreamError(grpc.StatusCode.UNKNOWN, "column label not found in table parts")
    vtgate = scripted([error], [transaction(10)])
    followed(vtgate, member(after(5)), member(after(5), PARTS))
    assert vtgate.columns == [ASKED | {"parts": ("id", "label")}, ASKED]


@pytest.mark.usefixtures("_worth_it")
def test_a_lost_connection_keeps_the_list() -> None:
    error = VStreamError(grpc.StatusCode.UNAVAILABLE, "gone")
    vtgate = scripted([error], [transaction(10)])
    assert followed(vtgate, member(after(5))).errors == {}
    assert vtgate.columns == [ASKED, ASKED]


@pytest.mark.usefixtures("_worth_it")
def test_other_columns_than_those_asked_for_are_not_handed_over() -> None:
    others = replace(TABLE, columns=TABLE.columns[::2])
    vtgate = scripted(
        [transaction(6, fields(others, at=NOON), inserted(row(1, "x"))), transaction(10)],
        [transaction(6, fields(at=NOON), inserted(ONE)), transaction(10)],
    )
    result = followed(vtgate, member(after(5)))
    assert vtgate.columns == [ASKED, {}]
    assert result.rows == [{"id": b"1", "label": b"one", "note": b"x"}]


class Altering(FakeDatabase):
    """A database whose table is another one from the second question on."""

    asked = 0

    def tables(self, names: Collection[str] | None = None, shard: str | None = None) -> list[Table]:
        self.asked += 1
        if self.asked > 1:
            return [replace(TABLE, columns=TABLE.columns[::-1])]
        return super().tables(names, shard)


@pytest.mark.usefixtures("_worth_it")
@pytest.mark.parametrize(
    "ends",
    [
        [transaction(10)],
        [response(vgtid(gtid(10)), ddl("alter table orders drop column note"))],
        [response(journal(gtid(10), ["-40", "40-80"]))],
    ],
    ids=["nothing else", "a statement", "a journal"],
)
def test_what_comes_before_a_proof_fails_is_read_again_with_all_columns(ends: Script) -> None:
    vtgate = scripted(
        [transaction(6, fields(NARROW, at=NOON), inserted(row(1, "wrong"))), *ends],
        [transaction(6, fields(at=NOON), inserted(ONE)), transaction(10)],
    )
    result = followed(vtgate, member(after(5)), database=Altering())
    assert vtgate.columns == [ASKED, {}]
    assert [row["label"] for row in result.rows] == [b"one"]
    assert result.ended["orders"].journal is None


def test_a_copy_whose_proof_fails_begins_with_all_columns_before_a_row_is_out() -> None:
    vtgate = scripted(COPIED, small_copy(ONE, TWO))
    result = followed(vtgate, replace(member(), copy_starts_again=False), database=Altering())
    assert vtgate.columns == [ASKED, {}]
    assert result.rows[0] == {"id": b"1", "label": b"one", "note": b"x"}
    assert (result.ids, result.errors) == ({"orders": [1, 2]}, {})


# A tablet at any moment.

ID, X = TABLE.columns[0], TABLE.columns[2]
A, B = Column("a", "bigint"), Column("b", "bigint")
SHAPES = [Table(KEYSPACE, "orders", (ID, *pair, X), ("id",)) for pair in ((A, B), (B, A))]
MOVED = [
    "alter table orders modify column b bigint after a",
    "alter table orders modify column a bigint after b",
]


class Tablet(FakeVtgate):
    """A primary on which rows and statements are executed at any moment while its log is read.

    Rows have their number in `id`, ten times that in `a` and twenty times in `b`; statements have `a` and `b`
    change their places. Old rows are read with the columns of the moment, as a tablet does it.
    """

    def __init__(self, log: Sequence[bool], executed: int, pauses: Sequence[int]) -> None:
        """Takes what is executed in the end, True for a statement; what has been; and what is when asked."""
        super().__init__()
        self.serve = self._stream
        self._log = log
        self._executed = executed
        self._pauses = list(pauses)

    def shape_at(self, number: int) -> int:
        """The number of the shape after so many transactions."""
        return sum(self._log[:number]) % 2

    @property
    def today(self) -> Table:
        """The table, at any moment."""
        return SHAPES[self.shape_at(self._now())]

    def _now(self) -> int:
        self._executed = min(self._executed + (self._pauses.pop() if self._pauses else 0), len(self._log))
        return self._executed

    def current_position(self, table: str, shard: str, timeout: float) -> str:  # noqa: ARG002 - of VtgateStreams
        return gtid(self._now() + 1)

    def _stream(self, cursor: Cursor, tables: Sequence[str]) -> Iterator[Any]:  # noqa: ARG002 - of FakeVtgate
        asked = self.columns[-1].get("orders")
        begun = int(cursor.position.rpartition("-")[2]) - 1 if cursor.position else None
        if begun is None:
            plan = self._asked(asked)
            # The shape of a copy by a list is proven; of one with all columns it is the description's.
            begun = self._executed if asked is None else self._now()
            images = [
                row(*(number * _FACTORS[c.name] if c in (ID, A, B) else "x" for c in plan.columns))
                for number, statement in enumerate(self._log[:begun], 1)
                if not statement
            ]
            yield from small_copy(*images, last=begun + 1, table=plan)
        places: Sequence[int] | None = None
        for number, statement in enumerate(self._log[begun:], begun + 1):
            self._executed = max(self._executed, number)
            if statement:
                places = None
                yield response(vgtid(gtid(number + 1)), ddl(MOVED[self.shape_at(number)]))
                continue
            events = []
            if places is None:
                today = SHAPES[self.shape_at(self._now())]
                plan = self._asked(asked, today)
                places = [today.columns.index(column) for column in plan.columns]
                events = [fields(plan, at=NOON)]
            written = SHAPES[self.shape_at(number)].columns
            values = [number * _FACTORS[c.name] if c in (ID, A, B) else "x" for c in written]
            yield transaction(number + 1, *events, inserted(row(*(values[place] for place in places))))

    def _asked(self, asked: Sequence[str] | None, table: Table | None = None) -> Table:
        table = table or SHAPES[self.shape_at(self._now())]
        chosen = [column for column in table.columns if asked is None or column.name in asked]
        return replace(
            table, columns=tuple(sorted(chosen, key=lambda c: asked.index(c.name) if asked else 0))
        )


_FACTORS = {"id": 1, "a": 10, "b": 20}


class TabletDatabase(FakeDatabase):
    """What is asked of the same tablet over MySQL."""

    def __init__(self, tablet: Tablet) -> None:
        """Takes the tablet."""
        super().__init__()
        self._tablet = tablet

    def tables(self, names: Collection[str] | None = None, shard: str | None = None) -> list[Table]:  # noqa: ARG002 - of Schema
        return [self._tablet.today]


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_no_value_is_wrong_and_no_row_is_lost_whenever_columns_change_their_places(
    data: st.DataObject,
) -> None:
    log = data.draw(st.lists(st.sampled_from([False, False, True]), min_size=1, max_size=12))
    executed = data.draw(st.integers(1, len(log)))
    tablet = Tablet(log, executed, data.draw(st.lists(st.integers(0, 2), max_size=20)))
    begun = data.draw(st.integers(0, executed))
    today = tablet.today
    start = START
    if data.draw(st.booleans()):
        start = after(begun + 1, table=SHAPES[tablet.shape_at(begun)])
    wanted = frozenset({"id", "a"})
    with pytest.MonkeyPatch.context() as patch:
        together = data.draw(st.booleans())
        patch.setattr("source_planetscale.vstream.bundle.Bundle.due", lambda _bundle, _now: not together)
        patch.setattr(selections, "WORTH_A_STREAM_BYTES", data.draw(st.sampled_from([0, 1, 4])))
        result = followed(tablet, Member(today, start, wanted=wanted), database=TabletDatabase(tablet))
    assert result.errors == {}
    read = result.ids.get("orders", [])
    assert [row["a"] for row in result.rows] == [b"%d" % (10 * number) for number in read]
    last = int(result.ended["orders"].cursor.position.rpartition("-")[2]) - 1
    first = begun if start.position else 0
    assert sorted(read) == [n for n in range(first + 1, last + 1) if not log[n - 1]]
    for cursor in result.cursors:
        if cursor.position and cursor.shape is not None:
            number = int(cursor.position.rpartition("-")[2]) - 1
            assert cursor.shape == shape_of(SHAPES[tablet.shape_at(number)].columns)
