"""What follows from a row in the table of types: everything that the connector does with a type."""

from __future__ import annotations

import pytest

from source_planetscale.columns import (
    Encoded,
    Encoder,
    Form,
    Phase,
    Spelling,
    encoder_of,
    families,
    json_schema,
)
from source_planetscale.columns.family import Example, Family, by_size
from source_planetscale.table import Column, WireColumn
from source_planetscale.vstream.lastpk import copy_can_resume, mismatch
from source_planetscale.vstream.wire import vstream_pb2 as wire
from tools import pages
from unit_tests.support.columns import complete
from unit_tests.support.events import keyed_by


class Uuid(Encoder):
    def encode(self, values: list[bytes]) -> Encoded:
        return [value.lower() for value in values], Form.BARE


UUID = Family(
    ("uuid",),
    {"type": "string", "format": "uuid"},
    lambda _column, _spelling: Uuid(),
    Example("uuid", b"AB", b"ab", '"ab"'),
    existing="crash",
    note="In lower case",
    key_types={"uuid": ("CHAR",)},
    widens=by_size,
)


@pytest.fixture(autouse=True)
def table_of_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table with one more row."""
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, UUID))
    monkeypatch.setitem(families.BY_NAME, "uuid", UUID)


def test_it_has_its_schema() -> None:
    assert json_schema(Column("u", "uuid"), tinyint1_as_boolean=True) == {
        "type": ["null", "string"],
        "format": "uuid",
    }


@pytest.mark.parametrize("phase", Phase)
def test_it_is_encoded(phase: Phase) -> None:
    column = Column("u", "uuid(2)")
    encoder = encoder_of(WireColumn(column, None, column), Spelling(phase), tinyint1_as_boolean=True)
    assert complete(encoder.encode([b"AB"])) == [b'"ab"']


def test_a_copy_in_the_order_of_its_key_is_resumed() -> None:
    table = keyed_by("uuid")
    lastpk = wire.QueryResult(
        fields=[wire.Field(name="id", type=wire.CHAR)], rows=[wire.Row(lengths=[2], values=b"ab")]
    )
    assert copy_can_resume(table)
    assert mismatch(lastpk, table) is None
    lastpk.fields[0].type = wire.INT64
    assert mismatch(lastpk, table) == "its column `id` has another type than uuid"


def test_it_is_documented() -> None:
    assert '| `uuid` | string, `format: uuid` | `"ab"` | In lower case | crash |' in pages.types()


def test_it_widens_as_its_row_says() -> None:
    assert families.widens("uuid(1)", "uuid(2)")
    assert not families.widens("uuid(2)", "uuid(1)")


def test_a_type_without_a_row_can_be_a_key_whose_copy_starts_again() -> None:
    assert not copy_can_resume(keyed_by("inet6"))
