"""The contract of both databases: each type's description and bytes, in the copy and in the binlog."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.contract.database import position, run, stream, table
from embedded_database.contract.recording import copied, seen
from embedded_database.contract.type_cases import CASES, Case

if TYPE_CHECKING:
    from embedded_database.contract.database import Database
    from embedded_database.contract.recording import Recording


@pytest.fixture(scope="module")
def types_table(database: Database) -> tuple[Recording, Recording]:
    """A table with a column of each type, in the copy and in the binlog."""
    columns = ", ".join(f"{case.name} {case.definition}" for case in CASES)
    name = table(database, "c_types", f"id int primary key, {columns}, unique key uq (vn, ti), key k1 (si)")
    before = position(database, name)
    values = ", ".join(case.literal for case in CASES)
    run(database, f"insert into {name} values (1, {values})")
    return stream(database, name, copied), stream(database, name, seen(b"1"), before)


@pytest.mark.parametrize(("at", "case"), [pytest.param(at, c, id=c.name) for at, c in enumerate(CASES, 1)])
def test_a_type_has_its_field_and_its_bytes_in_both_phases(
    types_table: tuple[Recording, Recording], at: int, case: Case
) -> None:
    for recording, expected in zip(
        types_table, (case.copy, case.copy if case.binlog is None else case.binlog), strict=True
    ):
        column = recording.fields[at]
        assert (column.name, column.type, column.column_type) == (case.name, case.type, case.column_type)
        attributes = (column.column_length, column.charset, column.decimals, column.flags)
        assert attributes == (case.length, case.charset, case.decimals, case.flags)
        assert recording.rows[0][at] == expected
