"""Numbers as PROTOBUF writes them, one by one and as a field of many messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.records.varints import fields, varint
from source_planetscale.records.wire import airbyte_pb2 as wire

UNSIGNED = st.integers(0, 2**64 - 1)
SIGNED = st.integers(-(2**63), 2**63 - 1)
# Numbers of one size and near its ends, as times are.
ALIKE = st.sampled_from([1, 63, 64, 127, 128, 8191, 8192, 16383, 16384, 2**35 - 1, 2**35, 2**42])


@given(UNSIGNED)
def test_a_number_is_written_as_the_library_writes_it(number: int) -> None:
    written = wire.UnsignedColumn(second=[number]).SerializeToString()
    assert written[1:] == varint(number)


@pytest.mark.parametrize(
    ("column", "name", "numbers"),
    [(wire.UnsignedColumn, "second", UNSIGNED), (wire.SignedColumn, "first", SIGNED)],
    ids=["unsigned", "signed"],
)
@given(st.data())
def test_a_field_of_many_messages_is_in_each_what_it_is_alone(
    column: type[wire.UnsignedColumn | wire.SignedColumn],
    name: str,
    numbers: st.SearchStrategy[int],
    data: st.DataObject,
) -> None:
    drawn = data.draw(st.lists(numbers, min_size=1) | st.lists(ALIKE, min_size=1))
    texts, width = fields(column, name, drawn)
    assert list(texts) == [column(**{name: [number]}).SerializeToString() for number in drawn]
    assert width in {0, *map(len, texts)}
    assert width == 0 or set(map(len, texts)) == {width}


def test_numbers_of_one_size_are_told_as_that() -> None:
    assert fields(wire.SignedColumn, "first", [64, 8191]).width == 3
    assert fields(wire.SignedColumn, "first", [63, 64]).width == 0
    assert fields(wire.SignedColumn, "first", [-64, -65]).width == 0
    assert fields(wire.UnsignedColumn, "second", [128, 16383]).width == 3
    assert fields(wire.UnsignedColumn, "second", [0, 127]).width == 2
