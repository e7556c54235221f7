"""Which columns the rows behind a FIELD event were written with, and where their values go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.shape import shape_of
from source_planetscale.table import Column, Table, WireColumn
from source_planetscale.vstream.fields import columns_of
from source_planetscale.vstream.layout import ShapeMismatch, is_unnamed, layout, plain_layout
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import KEYSPACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UTF8MB4, BINARY = 255, 63
WIRE_TYPES = {
    "tinyint": (wire.INT8, wire.UINT8),
    "int": (wire.INT32, wire.UINT32),
    "bigint": (wire.INT64, wire.UINT64),
    "varchar(9)": (wire.VARCHAR,),
    "varbinary(9)": (wire.VARBINARY,),
    "text": (wire.TEXT,),
    "blob": (wire.BLOB,),
    "datetime": (wire.DATETIME,),
    "datetime(3)": (wire.DATETIME,),
    "decimal(9,2)": (wire.DECIMAL,),
    "float": (wire.FLOAT32,),
    "double": (wire.FLOAT64,),
    "enum('a','b')": (wire.ENUM,),
    "enum('b','a')": (wire.ENUM,),
    "set('a')": (wire.SET_TYPE,),
    "json": (wire.JSON,),
    "bit(3)": (wire.BIT,),
    "year": (wire.YEAR,),
    "point": (wire.GEOMETRY,),
}


def table(*columns: Column) -> Table:
    return Table(KEYSPACE, "t", columns, ("id",))


def col(name: str, column_type: str, charset: str = "", *, nullable: bool = True) -> Column:
    if not charset and column_type.startswith(("varchar", "text", "enum", "set")):
        charset = "utf8mb4"
    return Column(name, column_type, charset, nullable)


def described(*columns: Column) -> list[wire.Field]:
    """The fields of an event for columns that the server knows."""
    return [
        wire.Field(
            name=column.name,
            type=WIRE_TYPES[column.column_type.removesuffix(" unsigned")][
                column.column_type.endswith(" unsigned")
            ],
            column_type=column.column_type,
            charset=UTF8MB4 if column.charset else BINARY,
            flags=0 if column.nullable else 1,
        )
        for column in columns
    ]


def nameless(*columns: Column) -> list[wire.Field]:
    """The fields of an event for columns that do not fit the table of today: what the row event tells."""
    return [
        wire.Field(
            name=f"@{number}",
            # BLOB and TEXT, CHAR and BINARY cannot be told apart; all integers come signed.
            type=wire.BLOB
            if column.column_type == "text"
            else WIRE_TYPES[column.column_type.removesuffix(" unsigned")][0],
        )
        for number, column in enumerate(columns, 1)
    ]


def laid_out(
    fields: Sequence[wire.Field],
    written: Sequence[Column],
    today: Table,
    renames: Mapping[str, str] | None = None,
) -> tuple[WireColumn, ...]:
    decoded = columns_of(fields, today.columns)
    return layout(fields, decoded, shape_of(written), today, renames or {})


def targets(columns: Sequence[WireColumn]) -> list[str | None]:
    return [column.target.name if column.target else None for column in columns]


ID, A, B = col("id", "bigint", nullable=False), col("a", "int"), col("b", "int")


def test_an_unchanged_table_is_read_as_it_is() -> None:
    today = table(ID, A, B)
    assert laid_out(described(ID, A, B), today.columns, today) == plain_layout(today.columns, today)
    assert plain_layout(today.columns, today) == (
        WireColumn(ID, None, ID),
        WireColumn(A, None, A),
        WireColumn(B, None, B),
    )


def test_a_column_in_the_middle_does_not_shift_old_values() -> None:
    """Two columns of one type: the server decodes the old `a` under the name of the new column."""
    mid = col("mid", "int")
    found = laid_out(described(ID, mid), (ID, A), table(ID, mid, A))
    assert [column.written.name for column in found] == ["id", "a"]
    assert targets(found) == ["id", "a"]


def test_swapped_columns_of_one_type_keep_their_old_values() -> None:
    found = laid_out(described(ID, B, A), (ID, A, B), table(ID, B, A))
    assert targets(found) == ["id", "a", "b"]


def test_a_dropped_column_goes_nowhere() -> None:
    new = col("new", "int")
    found = laid_out(described(ID, B, new), (ID, A, B), table(ID, B, new))
    assert targets(found) == ["id", None, "b"]


@pytest.mark.parametrize(
    ("then", "now"),
    [("int", "year"), ("year", "bigint"), ("float", "double"), ("datetime", "text"), ("point", "json")],
)
def test_a_column_that_took_the_place_of_another_of_its_kind_does_not_take_its_values(
    then: str, now: str
) -> None:
    old, new = col("old", then), col("new", now)
    found = laid_out(described(ID, new), (ID, old), table(ID, new))
    assert targets(found) == ["id", None]
    assert (found[1].written.column_type, found[1].decoded) == (then, new)


def test_columns_without_names_are_known_by_their_place() -> None:
    text = col("note", "text")
    found = laid_out(nameless(ID, text, A), (ID, text, A), table(ID, A, text))
    assert [column.written.name for column in found] == ["id", "note", "a"]
    assert targets(found) == ["id", "note", "a"]
    assert [column.decoded.column_type if column.decoded else None for column in found] == ["", "", ""]


@pytest.mark.parametrize(
    ("then", "now"), [("int unsigned", "int"), ("int", "int unsigned"), ("int unsigned", "bigint")]
)
def test_the_sign_with_which_a_number_was_decoded_is_told(then: str, now: str) -> None:
    (_, number) = laid_out(described(ID, col("a", now)), (ID, col("a", then)), table(ID, col("a", now)))
    assert (number.written.column_type, number.decoded) == (then, col("a", now))


def test_labels_and_character_sets_are_those_of_the_rows() -> None:
    then = (ID, col("e", "enum('a','b')"), col("v", "varchar(9)", "latin1"))
    now = (ID, col("e", "enum('b','a')"), col("v", "varchar(9)"))
    _, label, text = laid_out(described(*now), then, table(*now))
    assert (label.written.column_type, label.decoded) == ("enum('a','b')", now[1])
    assert (text.written.charset, text.decoded) == ("latin1", now[2])


def test_a_renamed_column_goes_to_the_name_of_today() -> None:
    today = table(ID, col("b", "int"))
    found = laid_out(described(*today.columns), (ID, A), today, {"a": "b"})
    assert [(column.written.name, column.target) for column in found] == [("id", ID), ("a", today.columns[1])]


def test_columns_that_were_added_at_the_end_are_not_missed() -> None:
    found = laid_out(described(ID, A), (ID, A), table(ID, A, B))
    assert targets(found) == ["id", "a"]


def test_a_column_that_takes_no_null_is_known_as_such() -> None:
    strict = col("a", "int", nullable=False)
    (key, other) = laid_out(described(ID, strict), (ID, strict), table(ID, strict))
    assert (key.written.nullable, other.written.nullable) == (False, False)


def test_whether_a_column_of_then_takes_null_is_not_taken_from_another_of_today() -> None:
    strict = col("b", "int", nullable=False)
    (_, other) = laid_out(described(ID, strict), (ID, A), table(ID, strict))
    assert other.written.nullable


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        (described(ID), (ID, A)),
        (described(ID, A, B), (ID, A)),
        (described(ID, A), (ID, col("a", "text"))),
        (described(ID, col("a", "datetime")), (ID, A)),
        (described(ID, col("a", "float")), (ID, col("a", "decimal(9,2)"))),
        (described(ID, col("a", "enum('a','b')")), (ID, col("a", "text"))),
        (nameless(ID, A), (ID, col("a", "decimal(9,2)"))),
        (nameless(ID), (ID, A)),
        ([], (ID,)),
    ],
    ids=["too few", "too many", "text", "time", "float", "labels", "nameless", "nameless, too few", "none"],
)
def test_what_fits_neither_then_nor_now_is_refused(
    fields: list[wire.Field], written: tuple[Column, ...]
) -> None:
    with pytest.raises(ShapeMismatch, match="fits neither"):
        laid_out(fields, written, table(ID, col("other", "json")))


def test_what_fits_only_the_table_of_today_is_of_today() -> None:
    today = table(ID, A, B)
    assert laid_out(described(ID, A, B), (ID, A), today) == plain_layout(today.columns, today)


# Columns that are really named so.


@pytest.mark.parametrize("name", ["@timestamp", "@2", "@1", "@", "@x"])
def test_a_column_of_the_tables_own_may_be_named_like_a_number(name: str) -> None:
    today = table(ID, col(name, "int unsigned"))
    fields = described(*today.columns)
    assert not is_unnamed(columns_of(fields, today.columns), today)
    assert laid_out(fields, today.columns, today) == plain_layout(today.columns, today)


def test_numbers_of_the_server_are_told_from_a_name_of_the_tables_own() -> None:
    then, today = (ID, col("@2", "text"), A), table(ID, A, col("@2", "text"))
    fields = nameless(*then)
    assert is_unnamed(columns_of(fields, today.columns), today)
    assert targets(laid_out(fields, then, today)) == ["id", "@2", "a"]


# Any table.


COLUMNS = st.lists(
    st.builds(col, st.sampled_from(["a", "b", "c", "d", "@2"]), st.sampled_from(sorted(WIRE_TYPES))),
    min_size=1,
    max_size=5,
    unique_by=lambda column: column.name,
)


@given(COLUMNS, COLUMNS)
def test_old_rows_always_go_to_the_columns_of_their_own_names(then: list[Column], now: list[Column]) -> None:
    """A server that cannot match the columns of then with those of now gives them numbers."""
    today = table(*now)
    found = laid_out(nameless(*then), then, today)
    assert [column.written for column in found] == [
        Column(column.name, column.column_type, column.charset) for column in then
    ]
    own = {column.name for column in now}
    assert targets(found) == [column.name if column.name in own else None for column in then]


@given(COLUMNS)
def test_rows_of_today_are_never_taken_for_old_ones(now: list[Column]) -> None:
    today = table(*now)
    assert laid_out(described(*now), now, today) == plain_layout(now, today)
