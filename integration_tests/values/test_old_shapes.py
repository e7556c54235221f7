"""Changes that a real Vitess sends after the type of their column has changed, in the JSON of today."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from embedded_database.contract.database import position, run, stream, table
from embedded_database.contract.recording import seen
from source_planetscale.columns import Phase, Spelling, encoder_of
from source_planetscale.table import Column, WireColumn
from source_planetscale.vstream.fields import columns_of
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.columns import encode_each

if TYPE_CHECKING:
    from embedded_database.contract.recording import Recording
    from integration_tests.vitess.cluster import VitessCluster


class Change(NamedTuple):
    """A column whose type changes while the insertion of its value is unread.

    Attributes:
        written: The type that the value is written with.
        literal: The value in SQL.
        today: The type afterwards.
        json: The value under the type of today, as JSON text; `null` if it cannot take it.
        charset: The character set that the value is written in.
    """

    written: str
    literal: str
    today: str
    json: str
    charset: str = "utf8mb4"

    @property
    def definition(self) -> str:
        """The column's first definition."""
        is_text = self.charset != "utf8mb4"
        return f"{self.written} character set {self.charset}" if is_text else f"{self.written} null"


CHANGES = [
    Change("int unsigned", "4000000000", "int", "4000000000"),
    Change("int unsigned", "4000000000", "bigint", "4000000000"),
    Change("int", "-5", "int unsigned", "-5"),
    Change("int", "-5", "bigint unsigned", "-5"),
    Change("tinyint unsigned", "255", "tinyint", "255"),
    Change("smallint unsigned", "65535", "int", "65535"),
    Change("mediumint unsigned", "16777215", "mediumint", "16777215"),
    Change("mediumint", "-1", "mediumint unsigned", "-1"),
    Change("bigint unsigned", "18446744073709551615", "varchar(30)", '"18446744073709551615"'),
    Change("int unsigned", "4000000000", "varchar(30)", '"4000000000"'),
    Change("int", "-7", "varchar(30)", '"-7"'),
    Change("tinyint(1)", "5", "int", "5"),
    Change("year", "2024", "varchar(30)", '"2024"'),
    Change("decimal(10,2)", "1.5", "varchar(30)", '"1.50"'),
    Change("decimal(10,2)", "0.5", "double", "0.50"),
    Change("double", "2.5", "varchar(30)", '"2.5"'),
    Change("float", "0.1", "double", "0.1"),
    Change("bit(12)", "b'101010101010'", "int", "2730"),
    Change("bit(1)", "b'1'", "bit(12)", '"AAE="'),
    Change("enum('x','y')", "'y'", "enum('q','x','y')", '"y"'),
    Change("enum('x','y','z')", "'x'", "enum('z','y','x')", '"x"'),
    Change("set('x','y','z')", "'x,z'", "set('z','y','x')", '"x,z"'),
    Change("binary(4)", "x'00ff'", "varbinary(9)", '"AP8AAA=="'),
    Change("binary(4)", "x'00ff'", "binary(8)", '"AP8AAA=="'),
    Change("binary(4)", "x'00ff'", "int", "null"),
    Change("char(4)", "'ab'", "binary(16)", '"YWI="'),
    Change("char(4)", "'ab'", "varchar(9)", '"ab"'),
    Change("varbinary(9)", "'ab'", "varchar(9)", '"ab"'),
    Change("tinyblob", "'a'", "longtext", '"a"'),
    Change("text", "'a'", "varchar(99)", '"a"'),
    Change("varchar(9)", "'é'", "varchar(9)", '"é"', charset="latin1"),
    Change("varchar(9)", "'5'", "int", "null"),
    Change("json", """'{"a": 1}'""", "longtext", r'"{\"a\": 1}"'),
    Change("datetime(1)", "'2024-01-02 03:04:05.1'", "datetime(6)", '"2024-01-02T03:04:05.100000"'),
    Change("datetime(6)", "'2024-01-02 03:04:05.123456'", "datetime", '"2024-01-02T03:04:05.123456"'),
    Change("timestamp", "'2024-01-02 03:04:05+00:00'", "datetime", "null"),
    Change("date", "'2024-02-29'", "datetime", '"2024-02-29T00:00:00.000000"'),
    Change("datetime", "'2024-02-29'", "date", '"2024-02-29"'),
    Change("time(3)", "'12:34:56.5'", "time", '"12:34:56.500"'),
]


@pytest.fixture(scope="module")
def recordings(vitess: VitessCluster) -> list[Recording]:
    """The unread insertion of each value, streamed after its column has got the type of today."""
    names = [f"old_shape_{number}" for number in range(len(CHANGES))]
    for name, change in zip(names, CHANGES, strict=True):
        # Where the types do not fit, all columns lose their names, types and signs.
        table(vitess, name, f"id int primary key, c {change.definition}, n int unsigned")
    before = position(vitess, names[0])
    for name, change in zip(names, CHANGES, strict=True):
        run(vitess, f"insert into {name} values (1, {change.literal}, 4000000000)", f"delete from {name}")
        vitess.execute_on_mysqld(f"alter table vt_src_0.{name} modify c {change.today}")
    vitess.vtctldclient("ReloadSchemaKeyspace", "--include-primary", "src")
    return [stream(vitess, name, seen(b"1"), before) for name in names]


@pytest.mark.parametrize(
    ("number", "change"),
    [pytest.param(n, c, id=f"{c.written}-{c.charset}-{c.today}") for n, c in enumerate(CHANGES)],
)
def test_an_unread_value_is_itself_under_the_type_of_today(
    recordings: list[Recording], number: int, change: Change
) -> None:
    recording = recordings[number]
    labels = recording.events(wire.FIELD)[-1].field_event.enum_set_string_values
    written = (Column("id", "int"), Column("c", change.written, change.charset), Column("n", "int unsigned"))
    today = (written[0], Column("c", change.today, "utf8mb4"), written[2])
    texts: list[bytes | None] = []
    for old, decoded, new, value in zip(
        written, columns_of(recording.fields, ()), today, recording.rows[0], strict=True
    ):
        assert value is not None
        column = WireColumn(old, decoded, new)
        encoder = encoder_of(column, Spelling(Phase.CATCH_UP, labels), tinyint1_as_boolean=True)
        texts += encode_each(encoder, [value])
    assert texts == [b"1", None if change.json == "null" else change.json.encode(), b"4000000000"]
