"""The values of every MySQL type, copied and changed, on a real Vitess."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from integration_tests.support.command import read_well, run
from integration_tests.support.tables import create
from integration_tests.values.value_cases import CASES, CHARSETS, Case
from source_planetscale.columns.families import FAMILIES, family_of

if TYPE_CHECKING:
    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

COLUMNS = [f"c{number}" for number in range(len(CASES))]
IDS = [f"{case.column_type}-{case.literal}" for case in CASES]
TABLES = ("value_types", "value_charsets", "value_columns", "value_objects")
# Zero dates, days that do not exist and unknown labels are values of servers that allow them.
LENIENT = "/*+ set_var(sql_mode='ALLOW_INVALID_DATES') */"
PHASES = pytest.mark.parametrize("phase", ["copied", "changed"])


def insert(vitess: VitessCluster, table: str, values: str) -> None:
    vitess.execute_on_mysqld(f"insert {LENIENT} into vt_src_0.{table} values ({values})")  # noqa: S608 - the cases' literals


def insert_all(vitess: VitessCluster, key: int) -> None:
    """Inserts the same row under another key into every table."""
    insert(vitess, "value_types", ", ".join([str(key), *(case.literal for case in CASES)]))
    insert(vitess, "value_types", ", ".join([str(key + 100), *("null" for _ in CASES)]))
    insert(vitess, "value_charsets", ", ".join([str(key), *(f"'{text}'" for text in CHARSETS.values())]))
    vitess.execute_on_mysqld(f"insert into vt_src_0.value_columns (id, hidden) values ({key}, 5)")  # noqa: S608 - a number
    insert(vitess, "value_objects", f"""{key}, '{{"bb": 1, "a": {{"z": 1, "yy": 2}}}}'""")


@pytest.fixture(scope="module")
def runs(vitess: VitessCluster) -> dict[str, Run]:
    """The sync that copied the rows, and the one that brought the same rows as changes."""
    types = ", ".join(f"{name} {case.column_type}" for name, case in zip(COLUMNS, CASES, strict=True))
    charsets = ", ".join(f"{charset} varchar(9) character set {charset}" for charset in CHARSETS)
    create(
        vitess,
        "src",
        f"create table value_types (id int primary key, {types})",
        f"create table value_charsets (id int primary key, {', '.join(quoted(charsets))})",
        "create table value_columns (id int primary key, v int as (id + 1) virtual, "
        "s varchar(9) as (concat('s', id)) stored, hidden int invisible, d int default 7)",
        "create table value_objects (id int primary key, doc json)",
    )
    insert_all(vitess, 1)
    copied = read_well(vitess.config("src"), *TABLES)
    insert_all(vitess, 2)
    changed = read_well(vitess.config("src"), *TABLES, state=copied.state)
    return {"copied": copied, "changed": changed}


def quoted(columns: str) -> list[str]:
    """Column definitions with their names in backquotes, as some names of character sets are words of SQL."""
    return ["`{}` {}".format(*column.split(" ", 1)) for column in columns.split(", ")]


def record(runs: dict[str, Run], phase: str, table: str, key: int = 0) -> Json:
    """The `record` of a table's row, with numbers as they were written."""
    wanted = {"copied": 1, "changed": 2}[phase] + key
    parsed = (json.loads(line, parse_float=Decimal) for line in runs[phase].lines)
    (found,) = (
        message["record"]
        for message in parsed
        if message["type"] == "RECORD"
        and message["record"]["stream"] == table
        and message["record"]["data"]["id"] == wanted
    )
    assert isinstance(found, dict)
    return found


def parse(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def discovered_schema(vitess: VitessCluster, table: str, **options: object) -> Json:
    (message,) = run("discover", config=vitess.config("src", **options)).of_type("CATALOG")
    (stream,) = (each for each in message["catalog"]["streams"] if each["name"] == table)
    schema: Json = stream["json_schema"]
    return schema


@PHASES
@pytest.mark.parametrize(("column", "case"), list(zip(COLUMNS, CASES, strict=True)), ids=IDS)
def test_a_value_comes_out_as_documented(runs: dict[str, Run], phase: str, column: str, case: Case) -> None:
    value = record(runs, phase, "value_types")["data"][column]
    # repr tells 0.50 from 0.5 and true from 1.
    assert repr(value) == repr(parse(case.json))


def test_every_value_is_the_same_in_the_copy_and_in_changes(runs: dict[str, Run]) -> None:
    for table in ("value_types", "value_charsets"):
        copied, changed = (record(runs, phase, table)["data"] for phase in ("copied", "changed"))
        assert repr({**copied, "id": 0}) == repr({**changed, "id": 0})


@PHASES
def test_a_value_that_cannot_be_represented_is_nulled_with_a_change_entry(
    runs: dict[str, Run], phase: str
) -> None:
    changes = record(runs, phase, "value_types")["meta"]["changes"]
    nulled = {name for name, case in zip(COLUMNS, CASES, strict=True) if case.is_nulled}
    assert {entry["field"] for entry in changes} == nulled
    assert {entry["change"] for entry in changes} == {"NULLED"}


@PHASES
def test_null_of_every_type_is_null_without_a_change_entry(runs: dict[str, Run], phase: str) -> None:
    found = record(runs, phase, "value_types", key=100)
    assert {value for name, value in found["data"].items() if name != "id"} == {None}
    assert "meta" not in found


@PHASES
@pytest.mark.parametrize("charset", CHARSETS)
def test_text_is_decoded_from_its_columns_character_set(
    runs: dict[str, Run], phase: str, charset: str
) -> None:
    assert record(runs, phase, "value_charsets")["data"][charset] == CHARSETS[charset]


def test_every_character_set_of_the_server_is_covered(vitess: VitessCluster) -> None:
    names = {row[0] for row in vitess.execute_on_mysqld("show character set")}
    assert names - {"binary"} == set(CHARSETS)


def test_every_family_of_types_is_covered() -> None:
    base_names = {case.column_type.removesuffix(" null") for case in CASES}
    covered = {family_of(name).names for name in base_names} | {family_of("tinyint(1)").names}
    assert covered >= {family.names for family in FAMILIES}


@PHASES
def test_a_json_object_is_the_same_document_in_a_string(runs: dict[str, Run], phase: str) -> None:
    document = record(runs, phase, "value_objects")["data"]["doc"]
    assert json.loads(document) == {"a": {"yy": 2, "z": 1}, "bb": 1}


@PHASES
def test_generated_and_invisible_columns_have_their_values(runs: dict[str, Run], phase: str) -> None:
    data = record(runs, phase, "value_columns")["data"]
    key = data["id"]
    assert data == {"id": key, "v": key + 1, "s": f"s{key}", "hidden": 5, "d": 7}


@PHASES
@pytest.mark.parametrize("table", TABLES)
def test_every_record_is_valid_against_its_streams_schema(
    vitess: VitessCluster, runs: dict[str, Run], phase: str, table: str
) -> None:
    schema = {**discovered_schema(vitess, table), "additionalProperties": False}
    found = [parse(line) for line in runs[phase].lines]
    rows = [
        each["record"]["data"]
        for each in found
        if each["type"] == "RECORD" and each["record"]["stream"] == table
    ]
    assert rows
    for row in rows:
        jsonschema.validate(row, schema)


def test_no_row_is_lost_to_its_values(runs: dict[str, Run]) -> None:
    for done in runs.values():
        assert len(done.records("value_types")) == 2
        assert not [message for message in done.of_type("LOG") if message["log"]["level"] != "INFO"]


def test_tinyint1_is_an_integer_in_schema_and_records_if_the_option_says_so(vitess: VitessCluster) -> None:
    create(vitess, "src", "create table value_tinyint (id int primary key, flag tinyint(1))")
    vitess.execute_on_mysqld("insert into vt_src_0.value_tinyint values (1, 5), (2, 1)")
    options = {"do_not_treat_tiny_int_as_boolean": True}
    schema = discovered_schema(vitess, "value_tinyint", options=options)
    assert schema["properties"]["flag"] == {"type": ["null", "number"], "airbyte_type": "integer"}
    done = read_well(vitess.config("src", options=options), "value_tinyint")
    assert done.records("value_tinyint") == [{"id": 1, "flag": 5}, {"id": 2, "flag": 1}]
