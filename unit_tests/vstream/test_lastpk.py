"""Which saved last primary keys the server may be asked to go on after."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.table import Column, Table
from source_planetscale.vstream.lastpk import cells, collations_differ, copy_can_resume, mismatch
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import KEYLESS, TABLE, keyed_by, last_key, row


def keyed(
    column_type: str, field_type: wire.FieldType.ValueType, value: bytes
) -> tuple[wire.QueryResult, Table]:
    """A last key of one column, and the table whose key it is."""
    lastpk = wire.QueryResult(
        fields=[wire.Field(name="id", type=field_type)],
        rows=[wire.Row(lengths=[len(value)], values=value)],
    )
    return lastpk, keyed_by(column_type)


COMPOSITE = Table(
    "shop",
    "orders",
    (Column("id", "bigint", nullable=False), Column("sku", "varchar(9)", "utf8mb4", nullable=False)),
    ("sku", "id"),
)


@pytest.mark.parametrize(
    ("column_type", "field_type", "value"),
    [
        ("bigint", wire.INT64, b"-9223372036854775808"),
        ("bigint unsigned", wire.UINT64, b"18446744073709551615"),
        ("int(5) unsigned zerofill", wire.UINT32, b"00007"),
        ("decimal(10,2)", wire.DECIMAL, b"-0.50"),
        ("double", wire.FLOAT64, b"1.2345678901234568e17"),
        ("year", wire.YEAR, b"2024"),
        ("date", wire.DATE, b"2024-02-29"),
        ("datetime(6)", wire.DATETIME, b"2024-01-02 03:04:05.000001"),
        ("timestamp(3)", wire.TIMESTAMP, b"2024-01-02 03:04:05.000"),
        ("time(2)", wire.TIME, b"-838:59:59.00"),
        ("bit(9)", wire.BIT, b"\x01\xff"),
        ("varchar(20)", wire.VARCHAR, b"' or 1=1 --"),
        ("varchar(20)", wire.VARBINARY, b"under a _bin collation"),
        ("char(5)", wire.BINARY, b"a"),
        ("binary(16)", wire.BINARY, bytes(16)),
        ("varbinary(16)", wire.VARBINARY, b""),
    ],
)
def test_a_last_key_of_the_tables_own_type_fits(
    column_type: str, field_type: wire.FieldType.ValueType, value: bytes
) -> None:
    lastpk, table = keyed(column_type, field_type, value)
    assert copy_can_resume(table)
    assert mismatch(lastpk, table) is None


@pytest.mark.parametrize("column_type", ["enum('z','a')", "set('a','b')", "float", "float(7,3)", "FLOAT"])
def test_a_copy_in_the_order_of_such_a_key_cannot_go_on_in_the_middle(column_type: str) -> None:
    assert not copy_can_resume(keyed_by(column_type))


def test_a_copy_without_a_key_cannot_go_on_in_the_middle() -> None:
    assert not copy_can_resume(KEYLESS)


def test_one_bad_column_is_enough() -> None:
    columns = (Column("e", "enum('a')", "utf8mb4", nullable=False), *TABLE.columns)
    assert not copy_can_resume(Table("shop", "orders", columns, ("id", "e")))


def test_a_composite_key_fits_in_the_order_of_the_key() -> None:
    lastpk = last_key(row(15826, "dxokhutc"), COMPOSITE)
    assert mismatch(lastpk, COMPOSITE) is None
    swapped = replace(COMPOSITE, primary_key=("id", "sku"))
    assert mismatch(lastpk, swapped) == "it is over (sku, id), the table's key over (id, sku)"


def test_a_last_key_over_other_columns_does_not_fit() -> None:
    reason = mismatch(last_key(row(1, "a", "b"), KEYLESS), TABLE)
    assert reason == "it is over (id, label, note), the table's key over (id)"


@pytest.mark.parametrize(("count", "reason"), [(0, "it holds 0 rows"), (2, "it holds 2 rows")])
def test_only_one_row_is_a_last_key(count: int, reason: str) -> None:
    lastpk = last_key(row(1, None, None))
    image = lastpk.rows[0]
    del lastpk.rows[:]
    lastpk.rows.extend([image] * count)
    assert (mismatch(lastpk, TABLE) or "").startswith(reason)


def test_a_missing_or_a_spare_value_does_not_fit() -> None:
    lastpk = last_key(row(1, None, None))
    del lastpk.rows[:]
    lastpk.rows.append(row(1, 2))
    assert mismatch(lastpk, TABLE) == "it holds 2 values for 1 columns"


def test_null_is_no_key() -> None:
    lastpk = last_key(row(1, None, None))
    del lastpk.rows[:]
    lastpk.rows.append(row(None))
    assert mismatch(lastpk, TABLE) == "its column `id` is NULL"


def test_lengths_that_do_not_add_up_do_not_fit() -> None:
    lastpk = last_key(row(1, None, None))
    lastpk.rows[0].lengths[0] = 9
    assert "do not add up" in (mismatch(lastpk, TABLE) or "")


@pytest.mark.parametrize(
    ("column_type", "field_type"),
    [("bigint", wire.VARCHAR), ("varchar(9)", wire.INT64), ("int", wire.INT64), ("point", wire.GEOMETRY)],
)
def test_a_key_of_another_type_does_not_fit(column_type: str, field_type: wire.FieldType.ValueType) -> None:
    lastpk, table = keyed(column_type, field_type, b"1")
    assert mismatch(lastpk, table) == f"its column `id` has another type than {column_type}"


@pytest.mark.parametrize(
    "value", [b"abc", b"2990) or (1=1", b"", b"1 ", b"1\n", b"0x1", b"--1", b"1e", b"NaN"]
)
@pytest.mark.parametrize(
    ("column_type", "field_type"),
    [
        ("bigint", wire.INT64),
        ("decimal(9,2)", wire.DECIMAL),
        ("double", wire.FLOAT64),
        ("year", wire.YEAR),
    ],
)
def test_what_the_server_would_paste_into_sql_must_be_a_number(
    column_type: str, field_type: wire.FieldType.ValueType, value: bytes
) -> None:
    assert mismatch(*keyed(column_type, field_type, value)) == "its column `id` is not a number"


@given(value=st.binary(max_size=20))
def test_no_reason_ever_shows_a_value(value: bytes) -> None:
    marked = b"<<" + value
    assert "<<" not in (mismatch(*keyed("bigint", wire.INT64, marked)) or "")


@given(st.lists(st.one_of(st.none(), st.binary(max_size=9)), max_size=6))
def test_a_row_is_cut_into_the_values_it_was_made_of(values: list[bytes | None]) -> None:
    image = wire.Row(
        lengths=[-1 if value is None else len(value) for value in values],
        values=b"".join(value for value in values if value is not None),
    )
    assert cells(image) == values


@pytest.mark.parametrize("lengths", [[1], [3], [2, 1], [-1], []])
def test_a_row_whose_lengths_do_not_fit_its_bytes_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="do not add up"):
        cells(wire.Row(lengths=lengths, values=b"ab"))


def collated(**collations: int) -> wire.QueryResult:
    return wire.QueryResult(
        fields=[wire.Field(name=name, charset=number) for name, number in collations.items()]
    )


@pytest.mark.parametrize(
    ("now", "differ"),
    [
        ({"a": 255, "b": 46}, False),
        ({"b": 46, "other": 8, "a": 255}, False),
        ({"a": 255, "b": 255}, True),
        ({"a": 46, "b": 46}, True),
        ({"a": 255, "b": 0}, False),
        ({"a": 255}, False),
    ],
    ids=["same", "in another order", "second", "first", "unknown now", "not described"],
)
def test_a_key_in_another_collation_has_another_order(now: dict[str, int], differ: bool) -> None:
    assert collations_differ(collated(a=255, b=46), collated(**now).fields) is differ


def test_a_collation_that_was_not_saved_is_not_compared() -> None:
    assert not collations_differ(collated(a=0), collated(a=255).fields)
