from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, Type
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.columns.families import FAMILIES, UNKNOWN
from source_planetscale.records.added import Added, ChangeColumns, Metadata
from source_planetscale.records.jsonl import JsonLines, RecordLines
from source_planetscale.records.lines import Phase, RowFormatter
from source_planetscale.records.message import RecordBatch
from source_planetscale.table import Column, WireColumn
from source_planetscale.vstream.rows import Rows
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

EMITTED_AT = 1700000000123


def unchanged(columns: Sequence[Column]) -> tuple[WireColumn, ...]:
    return tuple(WireColumn(column, None, column) for column in columns)


def row(*cells: bytes | None) -> wire.Row:
    return wire.Row(
        lengths=[-1 if cell is None else len(cell) for cell in cells],
        values=b"".join(cell for cell in cells if cell is not None),
    )


def together(images: Sequence[wire.Row]) -> Rows:
    rows = Rows(len(images[0].lengths) if images else 0)
    for image in images:
        rows.add(image)
    return rows


def formatter(
    columns: Sequence[Column],
    phase: Phase = Phase.COPY,
    *,
    enum_labels_on_wire: bool = True,
    primary_key: Sequence[str] = (),
) -> RowFormatter:
    return RowFormatter(
        unchanged(columns),
        primary_key,
        phase=phase,
        enum_labels_on_wire=enum_labels_on_wire,
        tinyint1_as_boolean=True,
    )


def lines(
    compiled: RowFormatter,
    images: Sequence[wire.Row],
    added: Sequence[Added] = (),
    layout: RecordLines | None = None,
) -> list[bytes]:
    layout = layout or RecordLines("t", "ks")
    return layout.records(compiled.encoded(together(images), added, EMITTED_AT)).splitlines(keepends=True)


def records(
    columns: Sequence[Column], rows: Sequence[wire.Row], phase: Phase = Phase.COPY
) -> list[dict[str, Any]]:
    emitted = lines(formatter(columns, phase), rows)
    return [json.loads(line)["record"] for line in emitted]


TEXT = Column("v", "varchar(20)", "utf8mb4")
ID = Column("id", "bigint", nullable=False)


def test_a_line_is_a_record_message_of_the_protocol() -> None:
    (line,) = lines(formatter([ID, TEXT]), [row(b"1", b"one")])
    assert line == (
        b'{"type":"RECORD","record":{"stream":"t","namespace":"ks","data":{"id":1,"v":"one"},'
        b'"emitted_at":1700000000123}}\n'
    )


def test_there_is_a_line_for_each_row_in_order() -> None:
    rows = [row(b"%d" % number, b"x") for number in range(100)]
    assert [record["data"]["id"] for record in records([ID, TEXT], rows)] == list(range(100))


def test_no_rows_give_no_lines() -> None:
    assert lines(formatter([ID]), []) == []


def test_null_is_null_in_every_column_and_no_change() -> None:
    columns = [Column(f"c{i}", family.example.column_type) for i, family in enumerate(FAMILIES)]
    examples = [family.example.copy for family in FAMILIES]
    all_null, mixed = records(columns, [row(*[None] * len(columns)), row(*examples)])
    assert set(all_null["data"].values()) == {None}
    assert "meta" not in all_null
    assert list(mixed["data"].values()) == [json.loads(family.example.json) for family in FAMILIES]


def test_an_empty_text_is_not_null() -> None:
    empty, null = records([ID, TEXT], [row(b"1", b""), row(b"2", None)])
    assert empty["data"]["v"] == ""
    assert null["data"]["v"] is None


def test_a_value_without_form_is_nulled_with_a_change_entry() -> None:
    columns = [ID, Column("d", "date"), Column('odd "name" 100%', "time")]
    good, bad, null, other = records(
        columns,
        [
            row(b"1", b"2024-01-02", b"01:02:03"),
            row(b"2", b"0000-00-00", b"-01:00:00"),
            row(b"3", None, None),
            row(b"4", b"2024-01-03", b"24:00:00"),
        ],
    )
    assert good["data"] == {"id": 1, "d": "2024-01-02", 'odd "name" 100%': "01:02:03"}
    assert bad["data"] == {"id": 2, "d": None, 'odd "name" 100%': None}
    assert bad["meta"] == {
        "changes": [
            {"field": "d", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"},
            {"field": 'odd "name" 100%', "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"},
        ]
    }
    assert other["data"]["d"] == "2024-01-03"
    assert [change["field"] for change in other["meta"]["changes"]] == ['odd "name" 100%']
    assert "meta" not in good
    assert "meta" not in null


def test_a_bad_value_leaves_the_other_values_of_its_column_alone() -> None:
    days = [b"2024-01-%02d" % day for day in range(1, 29)]
    values = [*days[:9], b"0000-00-00", *days[9:20], b"0000-00-00", b"2024-02-31", *days[20:]]
    emitted = [record["data"]["d"] for record in records([Column("d", "date")], [row(v) for v in values])]
    assert [day for day in emitted if day] == [day.decode() for day in days]
    assert emitted.count(None) == 3


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize(
    ("column", "values", "texts"),
    [
        (
            Column("k", "time"),
            [b"-01:00:00", b"25:00:00", b"12:34:56"],
            ["-01:00:00", "25:00:00", "12:34:56"],
        ),
        (Column("k", "date"), [b"0000-00-00", b"2024-00-00"], ["0000-00-00", "2024-00-00"]),
        (Column("k", "datetime(3)"), [b"0000-00-00 00:00:00.000"], ["0000-00-00 00:00:00.000"]),
        (Column("k", "timestamp"), [b"0000-00-00 00:00:00"], ["0000-00-00 00:00:00"]),
        (Column("k", "varchar(9)", "gbk"), [b"a\x80", b"\xd6\xd0"], ["_gbk 0x6180", "中"]),
        (Column("k", "newtype"), [b"\xff"], ["_binary 0xFF"]),
    ],
)
def test_a_value_without_form_in_the_key_is_its_text(
    column: Column, values: list[bytes], texts: list[str], phase: Phase
) -> None:
    compiled = formatter([column, Column("d", "date")], phase, primary_key=["k"])
    emitted = [json.loads(line)["record"] for line in lines(compiled, [row(value, None) for value in values])]
    assert [record["data"]["k"] for record in emitted] == texts
    assert not any("meta" in record for record in emitted)


def test_a_value_without_form_beside_the_key_is_null_all_the_same() -> None:
    compiled = formatter([Column("k", "time"), Column("t", "time")], primary_key=["k"])
    (line,) = lines(compiled, [row(b"-01:00:00", b"-02:00:00")])
    record = json.loads(line)["record"]
    assert record["data"] == {"k": "-01:00:00", "t": None}
    assert [change["field"] for change in record["meta"]["changes"]] == ["t"]


def test_the_numbers_of_a_tinyint1_in_the_key_stay_apart() -> None:
    compiled = formatter([Column("k", "tinyint(1)"), Column("b", "tinyint(1)")], primary_key=["k"])
    emitted = lines(compiled, [row(b"1", b"1"), row(b"2", b"2"), row(b"0", b"0")])
    assert [json.loads(line)["record"]["data"] for line in emitted] == [
        {"k": 1, "b": True},
        {"k": 2, "b": True},
        {"k": 0, "b": False},
    ]


def test_no_text_stands_in_for_a_number_of_the_key() -> None:
    column = WireColumn(Column("k", "time"), Column("@1", ""), Column("k", "int"))
    compiled = RowFormatter(
        [column],
        ["k"],
        phase=Phase.CATCH_UP,
        enum_labels_on_wire=True,
        tinyint1_as_boolean=True,
    )
    (line,) = lines(compiled, [row(b"-01:00:00")])
    assert json.loads(line)["record"]["data"] == {"k": None}


def changed(columns: Sequence[WireColumn], rows: Sequence[wire.Row]) -> list[dict[str, Any]]:
    compiled = RowFormatter(
        columns,
        (),
        phase=Phase.CATCH_UP,
        enum_labels_on_wire=True,
        tinyint1_as_boolean=True,
    )
    added = [Added(1, None, ChangeColumns("now", deleted=False, cursors=range(1, 2))) for _ in rows]
    layout = JsonLines().layout("t", "ks", {"id": {}, "today": {}, "m": {}, "_ab_cdc_cursor": {}})
    return [json.loads(line)["record"] for line in lines(compiled, rows, added, layout)]


GONE = WireColumn(Column("gone", "date"), Column("@2", ""), None)


def test_values_of_a_column_that_is_gone_are_dropped_and_need_no_form() -> None:
    columns = [*unchanged([ID]), GONE, WireColumn(TEXT, Column("@3", ""), Column("today", "text", "utf8mb4"))]
    rows = [row(b"1", b"2024-01-02", b"x"), row(b"2", b"0000-00-00", None), row(b"3", None, b"z")]
    emitted = changed(columns, rows)
    assert [record["data"] for record in emitted] == [
        {"id": 1, "today": "x", "_ab_cdc_cursor": 1},
        {"id": 2, "today": None, "_ab_cdc_cursor": 1},
        {"id": 3, "today": "z", "_ab_cdc_cursor": 1},
    ]
    assert not any("meta" in record for record in emitted)


def test_a_row_of_which_no_column_is_left_is_a_record_all_the_same() -> None:
    assert [record["data"] for record in changed([GONE], [row(b"1")])] == [{"_ab_cdc_cursor": 1}]


def test_a_value_that_the_type_of_today_cannot_take_is_nulled_with_a_change_entry() -> None:
    column = WireColumn(Column("n", "varchar(9)", "utf8mb4"), Column("@1", ""), Column("m", "int"))
    emitted = changed([column], [row(b"5"), row(None)])
    assert [record["data"]["m"] for record in emitted] == [None, None]
    assert emitted[0]["meta"]["changes"][0]["field"] == "m"
    assert "meta" not in emitted[1]


def test_added_columns_stand_at_the_end_of_the_data() -> None:
    columns = [ID, Column("d", "date")]
    metadata = Metadata('a "position", 100% of it', 5, range(3, 5))
    emitted = lines(
        formatter(columns),
        [row(b"1", b"2024-01-02"), row(b"2", b"0000-00-00")],
        [Added(2, metadata, ChangeColumns("now", deleted=False, cursors=range(7, 9)))],
    )
    first, second = (json.loads(line)["record"] for line in emitted)
    assert first["data"] == {
        "id": 1,
        "d": "2024-01-02",
        "_planetscale_metadata": {
            "vgtid_position": 'a "position", 100% of it',
            "extracted_at": 5,
            "sequence_number": 3,
        },
        "_ab_cdc_updated_at": "now",
        "_ab_cdc_deleted_at": None,
        "_ab_cdc_cursor": 7,
    }
    assert list(first["data"])[:2] == ["id", "d"]
    assert second["data"]["_planetscale_metadata"]["sequence_number"] == 4
    assert second["data"]["_ab_cdc_cursor"] == 8
    assert list(second) == ["stream", "namespace", "data", "meta", "emitted_at"]


def test_added_columns_of_another_number_of_rows_are_an_error_and_no_lost_row() -> None:
    with pytest.raises(ValueError, match="another number of rows"):
        lines(formatter([ID]), [row(b"1"), row(b"2")], [Added(1, None, ChangeColumns("", False, range(1)))])


def test_a_row_with_another_number_of_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="different numbers of columns"):
        lines(formatter([ID, TEXT]), [row(b"1", b"x"), row(b"2")])


def test_rows_whose_surplus_and_lack_of_values_add_up_are_an_error_too() -> None:
    with pytest.raises(ValueError, match="different numbers of columns"):
        lines(formatter([ID, TEXT]), [row(b"1", b"x", b"y"), row(b"2")])


def test_a_row_whose_bytes_do_not_match_its_lengths_is_an_error() -> None:
    with pytest.raises(ValueError, match="lengths"):
        lines(formatter([ID]), [wire.Row(lengths=[1], values=b"12")])
    with pytest.raises(ValueError, match="lengths"):
        lines(formatter([ID]), [wire.Row(lengths=[3], values=b"12")])


def test_names_are_escaped() -> None:
    column = Column('a "b" \\ % %b é\n', "int")
    (line,) = lines(formatter([column]), [row(b"1")], layout=RecordLines('t"%s', "k%b"))
    record = json.loads(line)["record"]
    assert (record["stream"], record["namespace"]) == ('t"%s', "k%b")
    assert record["data"] == {'a "b" \\ % %b é\n': 1}


def test_a_row_of_500_columns_and_a_large_value() -> None:
    columns = [TEXT if i % 2 else Column(f"c{i}", "int") for i in range(500)]
    columns = [Column(f"c{i}", column.column_type, column.charset) for i, column in enumerate(columns)]
    cells = [b"x" * 1_000_000 if i == 1 else b"7" for i in range(500)]
    (record,) = records(columns, [row(*cells)])
    assert len(record["data"]) == 500
    assert len(record["data"]["c1"]) == 1_000_000


@given(st.lists(st.text(), min_size=1, max_size=8))
def test_any_text_comes_back_from_its_line(texts: list[str]) -> None:
    emitted = lines(formatter([TEXT]), [row(text.encode()) for text in texts])
    assert [json.loads(line)["record"]["data"]["v"] for line in emitted] == texts
    for line in emitted:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert b"\r" not in line


@given(st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1, max_size=8), st.integers(0, 5))
def test_integers_are_exact(numbers: list[int], zeros: int) -> None:
    columns = [Column("n", "bigint")]
    padded = [b"%b%d" % (b"0" * zeros if number >= 0 else b"", number) for number in numbers]
    emitted = [record["data"]["n"] for record in records(columns, [row(text) for text in padded])]
    assert emitted == numbers


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**35), max_value=10**35, places=30),
        min_size=1,
        max_size=8,
    )
)
def test_decimals_are_exact(numbers: list[Decimal]) -> None:
    texts = [format(number, "f") for number in numbers]
    emitted = lines(formatter([Column("n", "decimal(65,30)")]), [row(text.encode()) for text in texts])
    assert [json.loads(line, parse_float=str)["record"]["data"]["n"] for line in emitted] == texts


COLUMN_TYPES = sorted({family.example.column_type for family in (*FAMILIES, UNKNOWN)})
COLUMNS = st.builds(
    Column,
    name=st.just("c"),
    column_type=st.sampled_from([*COLUMN_TYPES, "double", "timestamp(3)", "float(7,3)", "datetime"]),
    charset=st.sampled_from(["", "utf8mb4", "latin1", "utf16", "sjis", "ascii"]),
)
# Bytes of every kind, and the characters that numbers and dates are made of.
VALUES = (
    st.none() | st.binary(max_size=30) | st.text("0123456789-+:.,eE \n\"\\'", max_size=26).map(str.encode)
)


@given(COLUMNS, st.lists(VALUES, min_size=1, max_size=6), st.sampled_from(Phase), st.booleans())
def test_any_bytes_in_any_column_give_one_valid_line_each(
    column: Column, values: list[bytes | None], phase: Phase, labels: bool
) -> None:
    columns = [ID, column]
    compiled = formatter(columns, phase, enum_labels_on_wire=labels)
    emitted = lines(compiled, [row(b"1", value) for value in values])
    assert len(emitted) == len(values)
    for line, value in zip(emitted, values, strict=True):
        record = json.loads(line.decode(), parse_constant=pytest.fail)["record"]
        assert set(record["data"]) == {"id", "c"}
        assert line.count(b"\n") == 1
        assert b"\r" not in line
        was_nulled = value is not None and record["data"]["c"] is None
        assert ("meta" in record) is was_nulled


@given(COLUMNS, st.lists(VALUES, min_size=1, max_size=6), st.sampled_from(Phase))
def test_a_batch_gives_the_lines_of_its_rows_one_by_one(
    column: Column, values: list[bytes | None], phase: Phase
) -> None:
    compiled = formatter([ID, column], phase)
    rows = [row(b"1", value) for value in values]
    one_by_one = [line for single in rows for line in lines(compiled, [single])]
    assert lines(compiled, rows) == one_by_one


def batch(compiled: RowFormatter, images: Sequence[wire.Row]) -> RecordBatch:
    rows = compiled.encoded(together(images), [], EMITTED_AT)
    return RecordBatch([rows], stream="t", namespace="ks", shard="-", copied=True)


def test_a_batch_passes_for_a_record_message_of_its_stream() -> None:
    message = batch(formatter([ID]), [row(b"1"), row(b"2")])
    assert isinstance(message, AirbyteMessage)
    assert message.type is Type.RECORD
    assert message.record is not None
    assert (message.record.stream, message.record.namespace) == ("t", "ks")
    assert message.count == 2
    counts: defaultdict[Any, float] = defaultdict(float)
    assert AirbyteEntrypoint.handle_record_counts(message, counts) is message


def test_plain_messages_equal_the_lines() -> None:
    columns = [Column(f"c{i}", family.example.column_type) for i, family in enumerate(FAMILIES)]
    rows = [
        row(*[family.example.copy for family in FAMILIES]),
        row(*[None] * len(FAMILIES)),
        row(*[b"\xff"] * len(FAMILIES)),
    ]
    emitted = lines(formatter(columns), rows)
    messages = batch(formatter(columns), rows).messages()
    assert [_plain(message) for message in messages] == [json.loads(line)["record"] for line in emitted]


def _plain(message: AirbyteMessage) -> dict[str, Any]:
    assert message.type is Type.RECORD
    assert message.record is not None
    fields = asdict(message.record)
    del fields["file_reference"]
    if fields["meta"] is None:
        del fields["meta"]
    else:
        for change in fields["meta"]["changes"]:
            change.update(change=change["change"].value, reason=change["reason"].value)
    return fields


def test_plain_messages_can_be_serialized_by_the_cdk() -> None:
    (message,) = batch(formatter([Column("d", "date")]), [row(b"0000-00-00")]).messages()
    assert AirbyteMessageSerializer.dump(message)["record"]["meta"] == {
        "changes": [{"field": "d", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}]
    }


def test_the_sizes_of_values_that_stay_as_they_came_are_those_of_the_wire() -> None:
    columns = [
        Column("id", "int"),
        Column("filled", "int(4) unsigned zerofill"),
        Column("name", "varchar(9)"),
    ]
    rows = together([row(b"7", b"0012", b"one"), row(b"42", b"0003", b"\xc3\xa9")])
    told = [cells.sizes and cells.sizes() for cells in formatter(columns).encoded(rows, [], 0).columns]
    assert told == [[1, 2], None, [3, 2]]


def test_the_sizes_of_columns_with_a_null_are_not_told() -> None:
    rows = together([row(b"7"), row(None)])
    (cells,) = formatter([Column("id", "int")]).encoded(rows, [], 0).columns
    assert cells.sizes is None
