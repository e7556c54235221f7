"""PROTOBUF records: the bytes, the order, and the kind that the catalog declares."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_tests.support.messages import Protobuf as Reader
from source_planetscale.columns import Form, Phase, json_schema
from source_planetscale.columns.families import FAMILIES, UNKNOWN
from source_planetscale.records.added import Added, ChangeColumns, Metadata
from source_planetscale.records.encoded import Cells, EncodedRows
from source_planetscale.records.jsonl import JsonLines
from source_planetscale.records.lines import RowFormatter
from source_planetscale.records.protobuf import Protobuf
from source_planetscale.table import Column, WireColumn
from source_planetscale.vstream.rows import Rows
from source_planetscale.vstream.wire import vstream_pb2 as vstream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from source_planetscale.columns.family import Family

EMITTED_AT = 1767225600000

STRING = {"type": ["null", "string"]}
INTEGER = {"type": ["null", "number"], "airbyte_type": "integer"}
NUMBER = {"type": ["null", "number"]}
BOOLEAN = {"type": ["null", "boolean"]}
DATE = {"type": ["null", "string"], "format": "date"}
TIMESTAMP = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_with_timezone",
}
LOCAL_TIMESTAMP = {**TIMESTAMP, "airbyte_type": "timestamp_without_timezone"}
TIME = {"type": ["null", "string"], "format": "time", "airbyte_type": "time_with_timezone"}
LOCAL_TIME = {**TIME, "airbyte_type": "time_without_timezone"}
OBJECT = {"type": ["null", "object"]}
ARRAY = {"type": ["null", "array"], "items": {"type": "number"}}
SEVERAL = {"type": ["null", "string", "number"]}
DECLARED = [
    STRING,
    INTEGER,
    {"type": "integer"},
    NUMBER,
    BOOLEAN,
    DATE,
    # The Go connector's catalogs.
    {**DATE, "airbyte_type": "date"},
    TIMESTAMP,
    LOCAL_TIMESTAMP,
    TIME,
    LOCAL_TIME,
    {"type": "string", "format": "date-time"},
    {"type": "string", "contentEncoding": "base64"},
    OBJECT,
    ARRAY,
    SEVERAL,
]


def encoded(columns: Mapping[str, Cells], added: Sequence[Added] = ()) -> EncodedRows:
    count = len(next(iter(columns.values())).values) if columns else added[0].count
    return EncodedRows(tuple(columns), list(columns.values()), {}, added, count, EMITTED_AT)


def cells(*values: bytes | None, form: Form = Form.BARE) -> Cells:
    return Cells(list(values), form, has_nulls=None in values)


def records(rows: EncodedRows, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records as the destination reads them, with every value of the declared kind."""
    stream = {"name": "t", "namespace": "ks", "json_schema": {"properties": properties}}
    reader = Reader({("ks", "t"): stream})
    data = Protobuf().layout("t", "ks", properties).records(rows, "0-1")
    found = [message["record"] for message in reader.feed(data)]
    reader.end()
    assert len(found) == rows.count
    return found


def value(schema: Any, text: bytes, form: Form = Form.BARE) -> Any:
    """A single value, None with a change for one that does not fit."""
    (record,) = records(encoded({"c": cells(text, form=form)}), {"c": schema})
    is_changed = record.get("meta") == {
        "changes": [{"field": "c", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}]
    }
    assert is_changed == (record["data"]["c"] is None)
    return record["data"]["c"]


def test_a_record_byte_by_byte() -> None:
    rows = encoded(
        {
            "id": cells(b"7", form=Form.JSON),
            "name": cells("Grüße".encode()),
            "note": cells(None),
            "At": cells(b"2024-02-29T12:34:56.789000+00:00"),
        }
    )
    properties = {"id": INTEGER, "name": STRING, "note": STRING, "At": TIMESTAMP}
    assert Protobuf().layout("t", "shop", properties).records(rows, "0-1").hex(" ") == (
        "3b 0a 39 0a 04 73 68 6f 70 12 01 74 18 80 d0 ea b6 b7 33 22 03 30 2d 31 "
        "2a 0e 52 0c 08 e0 e7 83 de 0c 10 c0 de 9c f8 02 "
        "2a 03 22 01 37 "
        "2a 09 12 07 47 72 c3 bc c3 9f 65 "
        "2a 02 68 01"
    )


def test_a_state_byte_by_byte() -> None:
    line = b'{"type":"STATE","state":{"type":"STREAM","id":1,"partition_id":"0-1","pad":"' + b"x" * 121
    line += b'"}}\n'
    assert len(line) == 201
    assert Protobuf().message(line) == b"\xcb\x01\x12\xc8\x01" + line[:-1]


@pytest.mark.parametrize(("namespace", "start"), [(None, b"\x12\x01t"), ("", b"\x0a\x00\x12\x01t")])
def test_a_namespace_that_is_absent_is_left_out_and_an_empty_one_is_not(
    namespace: str | None, start: bytes
) -> None:
    rows = encoded({"id": cells(b"7", form=Form.JSON)})
    data = Protobuf().layout("t", namespace, {"id": INTEGER}).records(rows, "0-1")
    # A byte for the length of the message, two for the tag and the length of the record.
    assert data[3:].startswith(start)


def test_values_stand_in_the_order_of_utf16_and_only_the_configured_ones() -> None:
    names = ["b", "_ab_cdc_cursor", "Z", "\uff5e", "\U00010400", "a", "not configured"]
    columns = {name: cells(str(number).encode()) for number, name in enumerate(names)}
    properties = dict.fromkeys([*names[:-1], "not in the table"], STRING)
    data = Protobuf().layout("t", "ks", properties).records(encoded(columns), "0-1")
    order = ["Z", "_ab_cdc_cursor", "a", "b", "not in the table", "\U00010400", "\uff5e"]
    expected = b"".join(
        b"\x2a\x02\x68\x01" if name not in names else b"\x2a\x03\x12\x01%d" % names.index(name)
        for name in order
    )
    assert data.endswith(expected)
    assert b"not configured" not in data


def rows_of(*rows: Sequence[bytes | None]) -> Rows:
    together = Rows(len(rows[0]))
    for row in rows:
        together.add(
            vstream.Row(
                lengths=[-1 if cell is None else len(cell) for cell in row],
                values=b"".join(cell for cell in row if cell is not None),
            )
        )
    return together


def formatter(columns: Sequence[Column], phase: Phase = Phase.COPY) -> RowFormatter:
    unchanged = [WireColumn(column, None, column) for column in columns]
    return RowFormatter(unchanged, (), phase=phase, enum_labels_on_wire=True, tinyint1_as_boolean=True)


def natural(column: Column) -> dict[str, Any]:
    return json_schema(column, tinyint1_as_boolean=True)


def in_json(rows: EncodedRows, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = JsonLines().layout("t", "ks", properties).records(rows, "0-1").splitlines()
    return [json.loads(line, parse_float=Decimal)["record"] for line in lines]


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """A record of a line, with a time of day in as many digits as PROTOBUF gives."""
    data = record["data"]
    if data.get("time"):
        whole, _, fraction = data["time"].partition(".")
        data = {**data, "time": f"{whole}.{fraction:0<6}"}
    return {**record, "data": data}


def named(column_type: str, name: str) -> Column:
    return Column("time" if column_type.startswith("time(") else name, column_type, "utf8mb4")


def test_every_type_has_the_value_that_its_line_has() -> None:
    examples = [family.example for family in [*FAMILIES, UNKNOWN]]
    columns = [named(example.column_type, f"c{number}") for number, example in enumerate(examples)]
    values = [example.copy for example in examples]
    rows = formatter(columns).encoded(rows_of(values, [None] * len(values)), [], EMITTED_AT)
    properties = {column.name: natural(column) for column in columns}
    assert records(rows, properties) == [comparable(record) for record in in_json(rows, properties)]


TEXTS = st.text("0123456789-+:.,eE \n\"\\'{[", max_size=26).map(str.encode)
VALUES = st.none() | st.binary(max_size=30) | TEXTS
CHOSEN = st.sampled_from([*FAMILIES, UNKNOWN])


@given(st.data(), CHOSEN, st.sampled_from(Phase))
def test_any_values_are_those_of_their_lines(data: st.DataObject, family: Family, phase: Phase) -> None:
    example = family.example.copy if phase is Phase.COPY else family.example.catch_up
    values = data.draw(st.lists(VALUES | st.just(example), min_size=1, max_size=8))
    column = named(family.example.column_type, "c")
    rows = formatter([column], phase).encoded(rows_of(*([value] for value in values)), [], EMITTED_AT)
    properties = {column.name: natural(column)}
    assert records(rows, properties) == [comparable(record) for record in in_json(rows, properties)]


# What divides moments by the bytes that they take: midnight, 34 and 4398 seconds later; days of two bytes.
NARROW = [
    datetime(2024, 2, 29, *time) for time in [(0, 0, 0), (0, 0, 34), (0, 0, 35), (1, 13, 18), (1, 13, 19)]
]
MOMENTS = st.datetimes(datetime(1900, 1, 1)) | st.sampled_from(
    [*NARROW, datetime(1970, 1, 1), datetime(2014, 11, 9)]
)


@given(
    st.lists(MOMENTS, min_size=1, max_size=8), st.sampled_from(["datetime", "timestamp"]), st.integers(0, 6)
)
def test_any_moments_are_those_of_their_lines(moments: list[datetime], base: str, digits: int) -> None:
    texts = [moment.isoformat(" ", "microseconds") for moment in moments]
    end = len(texts[0]) - (6 - digits if digits else 7)
    column = Column("c", f"{base}({digits})" if digits else base)
    rows = formatter([column]).encoded(rows_of(*([text[:end].encode()] for text in texts)), [], EMITTED_AT)
    properties = {"c": natural(column)}
    assert records(rows, properties) == in_json(rows, properties)


@given(st.data(), CHOSEN, st.sampled_from(DECLARED))
def test_a_value_has_the_declared_kind_or_is_null_and_told(
    data: st.DataObject, family: Family, schema: Any
) -> None:
    column = Column("c", family.example.column_type, "utf8mb4")
    values = data.draw(st.lists(VALUES | st.just(family.example.copy), min_size=1, max_size=8))
    rows = formatter([column]).encoded(rows_of(*([value] for value in values)), [], EMITTED_AT)
    lines = in_json(rows, {"c": schema})
    for found, line in zip(records(rows, {"c": schema}), lines, strict=True):
        is_lost = found["data"]["c"] is None and (line["data"]["c"] is not None or "meta" in line)
        assert ("meta" in found) == is_lost


@pytest.mark.parametrize(
    ("schema", "text", "form", "expected"),
    [
        (STRING, b"5", Form.JSON, "5"),
        (STRING, b"true", Form.JSON, "true"),
        (STRING, b"[0.1,1.5]", Form.JSON, "[0.1,1.5]"),
        (STRING, b"2024-02-29", Form.BARE, "2024-02-29"),
        (STRING, b'a "quoted" \n text', Form.TEXT, 'a "quoted" \n text'),
        (INTEGER, b"18446744073709551615", Form.JSON, 18446744073709551615),
        (INTEGER, b"true", Form.JSON, 1),
        (INTEGER, b"12.00", Form.JSON, 12),
        (INTEGER, b"12.50", Form.JSON, None),
        (INTEGER, b"-7", Form.BARE, -7),
        (INTEGER, b"7 apples", Form.BARE, None),
        (NUMBER, b"5", Form.JSON, 5),
        (NUMBER, b"1e300", Form.JSON, Decimal("1e300")),
        (NUMBER, b"-0.50", Form.BARE, -0.5),
        (NUMBER, b"[1]", Form.JSON, None),
        (BOOLEAN, b"true", Form.JSON, True),
        (BOOLEAN, b"0", Form.JSON, False),
        (BOOLEAN, b"-5", Form.JSON, True),
        (BOOLEAN, b"yes", Form.BARE, None),
        (DATE, b"1969-12-31", Form.BARE, "1969-12-31"),
        (DATE, b"2024-02-29T00:00:00.000000", Form.BARE, "2024-02-29"),
        (DATE, b"2024-02-29T00:00:00.000001", Form.BARE, None),
        (DATE, b"0000-00-00", Form.BARE, None),
        (DATE, b"20240229", Form.JSON, None),
        (LOCAL_TIMESTAMP, b"2024-02-29", Form.BARE, "2024-02-29T00:00:00.000000"),
        (LOCAL_TIMESTAMP, b"0001-01-01T00:00:00.000001", Form.BARE, "0001-01-01T00:00:00.000001"),
        (TIMESTAMP, b"2024-02-29T12:34:56.000000", Form.BARE, "2024-02-29T12:34:56.000000+00:00"),
        (TIMESTAMP, b"1969-12-31T23:59:59.999999", Form.BARE, "1969-12-31T23:59:59.999999+00:00"),
        (TIMESTAMP, b"2023-11-14T22:13:20.000000Z", Form.BARE, "2023-11-14T22:13:20.000000+00:00"),
        (TIMESTAMP, b"today", Form.BARE, None),
        (LOCAL_TIME, b"12:34:56.789", Form.BARE, "12:34:56.789000"),
        (TIME, b"23:59:59", Form.BARE, "23:59:59.000000"),
        (TIME, b"24:00:00", Form.BARE, None),
        (TIME, b"-01:00:00", Form.BARE, None),
        (OBJECT, b'{"a": 1}', Form.TEXT, {"a": 1}),
        (OBJECT, b"text", Form.BARE, "text"),
        (OBJECT, b"{no JSON", Form.BARE, "{no JSON"),
        (ARRAY, b"[1,1.5]", Form.JSON, [1, 1.5]),
        (SEVERAL, b"12", Form.JSON, 12),
        (SEVERAL, b"[1]", Form.BARE, "[1]"),
    ],
)
def test_a_value_takes_the_declared_kind_where_nothing_is_lost(
    schema: Any, text: bytes, form: Form, expected: object
) -> None:
    assert value(schema, text, form) == expected


@pytest.mark.parametrize("schema", [{}, {"type": "null"}, {"type": []}, {"type": "bytes"}, True])
def test_a_type_that_no_destination_knows_is_null_without_a_change(schema: Any) -> None:
    data = Protobuf().layout("t", "ks", {"c": schema}).records(encoded({"c": cells(b"x")}), "0-1")
    assert data.endswith(b"\x2a\x02\x68\x01")


def test_one_type_in_a_one_of_is_that_type() -> None:
    schema = {"oneOf": [{"type": "null"}, {"type": "boolean"}]}
    rows = encoded({"c": cells(b"true", form=Form.JSON)})
    data = Protobuf().layout("t", "ks", {"c": schema}).records(rows, "0-1")
    assert data.endswith(b"\x2a\x02\x08\x01")


def test_added_columns_stand_where_their_names_sort() -> None:
    changes = [
        ChangeColumns("2024-01-01T00:00:00.000000Z", deleted=False, cursors=range(7, 9)),
        ChangeColumns("2024-01-02T00:00:00.000000Z", deleted=True, cursors=range(9, 10)),
    ]
    added = [
        Added(2, Metadata('p"%d', 5, range(2)), changes[0]),
        Added(1, Metadata("q", 6, range(2, 3)), changes[1]),
    ]
    rows = encoded({"a": cells(b"x", b"y", b"z"), "Z": cells(b"1", None, b"3")}, added)
    properties = {
        "a": STRING,
        "Z": STRING,
        "_ab_cdc_updated_at": {"type": ["string"]},
        "_ab_cdc_deleted_at": STRING,
        "_ab_cdc_cursor": INTEGER,
        "_planetscale_metadata": OBJECT,
    }
    assert [record["data"] for record in records(rows, properties)] == [
        record["data"] for record in in_json(rows, properties)
    ]


def test_changes_of_columns_that_are_not_configured_are_not_told() -> None:
    rows = EncodedRows(("a", "b"), [cells(None), cells(None)], {0: [0, 1]}, [], 1, EMITTED_AT)
    (record,) = records(rows, {"b": STRING})
    assert [change["field"] for change in record["meta"]["changes"]] == ["b"]


def test_no_rows_are_no_bytes() -> None:
    rows = EncodedRows(("a",), [], {}, [], 0, EMITTED_AT)
    assert Protobuf().layout("t", "ks", {"a": STRING}).records(rows, "0-1") == b""
