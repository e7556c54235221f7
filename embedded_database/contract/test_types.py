"""The contract of both databases: each type's description and bytes, in the copy and in the binlog."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.contract.database import position, run, stream, table
from embedded_database.contract.recording import copied, seen
from embedded_database.contract.type_cases import CONTRACT, LENIENT, VITESS_ALONE, Case
from embedded_database.contract.type_fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedded_database.contract.database import Database
    from embedded_database.contract.recording import Recording


FLAGS = [53251, 49152, 49160, 32768, 16393]


def recorded(database: Database, name: str, cases: Sequence[Case]) -> tuple[Recording, Recording]:
    """A table with a column of each case, in the copy and in the binlog."""
    columns = ", ".join(f"c{number} {case.definition}" for number, case in enumerate(cases))
    table(database, name, f"id int primary key, {columns}")
    before = position(database, name)
    values = ", ".join(case.literal for case in cases)
    run(database, f"insert {LENIENT} into {name} values (1, {values})")
    return stream(database, name, copied), stream(database, name, seen(b"1"), before)


@pytest.fixture(scope="module")
def types(database: Database) -> tuple[Recording, Recording]:
    """What both servers know."""
    return recorded(database, "c_types", CONTRACT)


@pytest.fixture(scope="module")
def further_types(vitess: Database) -> tuple[Recording, Recording]:
    """What the embedded database does otherwise, or not at all."""
    return recorded(vitess, "c_further_types", VITESS_ALONE)


def numbered(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """A test of each case, with the number of its column."""
    return pytest.mark.parametrize(
        ("at", "case"),
        [pytest.param(at, case, id=f"{case.definition}-{case.literal}") for at, case in enumerate(cases, 1)],
    )


def assert_sent(recordings: tuple[Recording, Recording], at: int, case: Case, major: int) -> None:
    """Both phases have the description and the bytes of a case."""
    for recording, expected in zip(recordings, (case.copy, case.changed_by(major)), strict=True):
        column = recording.fields[at]
        assert FIELDS[case.definition] == (
            column.type,
            column.column_type,
            column.column_length,
            column.charset,
            column.decimals,
            column.flags,
        )
        assert recording.rows[0][at] == expected


@numbered(CONTRACT)
def test_a_type_has_its_field_and_its_bytes_in_both_phases(
    database: Database, types: tuple[Recording, Recording], at: int, case: Case
) -> None:
    assert_sent(types, at, case, database.major)


@numbered(VITESS_ALONE)
def test_a_type_has_its_field_and_its_bytes_in_both_phases_on_vitess(
    vitess: Database, further_types: tuple[Recording, Recording], at: int, case: Case
) -> None:
    assert_sent(further_types, at, case, vitess.major)


def test_generated_columns_are_sent_and_keys_show_in_the_flags(database: Database) -> None:
    name = table(
        database,
        "c_generated",
        "id int primary key, i int, s int generated always as (i+1) stored, "
        "v int generated always as (i+2) virtual, n varchar(10) not null default '', "
        "unique key u (n, i), key k (s)",
    )
    before = position(database, name)
    run(database, f"insert into {name} (id, i) values (1, 7)")
    for recording in (stream(database, name, copied), stream(database, name, seen(b"1"), before)):
        assert recording.rows[0][1:] == [b"7", b"8", b"9", b""]
        assert [field.flags for field in recording.fields] == FLAGS
