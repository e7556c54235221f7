"""The values of every MySQL type, copied and changed, on a real Vitess."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from embedded_database.contract.type_cases import CASES, LENIENT, Case
from embedded_database.contract.type_fields import FIELDS
from integration_tests.support.command import read_well, run
from integration_tests.support.tables import create
from integration_tests.values.charset_texts import CHARSETS
from source_planetscale.columns.families import FAMILIES, family_of
from unit_tests.packaging import project

if TYPE_CHECKING:
    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

COLUMNS = [f"c{number}" for number in range(len(CASES))]
IDS = [f"{case.definition}-{case.literal}" for case in CASES]
OUT_OF_ORDER = {name for name, case in zip(COLUMNS, CASES, strict=True) if case.json_of_change}
TABLES = ("value_types", "value_charsets", "value_columns", "value_objects")
# What a row without values has in its columns.
NOTHING = [case.literal if "not null" in case.definition else "null" for case in CASES]
PHASES = pytest.mark.parametrize("phase", ["copied", "changed"])


def insert(vitess: VitessCluster, table: str, values: str) -> None:
    vitess.execute_on_mysqld(f"insert {LENIENT} into vt_src_0.{table} values ({values})")  # noqa: S608 - the cases' literals


def insert_all(vitess: VitessCluster, key: int) -> None:
    """Inserts the same row under another key into every table."""
    insert(vitess, "value_types", ", ".join([str(key), *(case.literal for case in CASES)]))
    insert(vitess, "value_types", ", ".join([str(key + 100), *NOTHING]))
    insert(vitess, "value_charsets", ", ".join([str(key), *(f"'{text}'" for text in CHARSETS.values())]))
    vitess.execute_on_mysqld(f"insert into vt_src_0.value_columns (id, hidden) values ({key}, 5)")  # noqa: S608 - a number
    insert(vitess, "value_objects", f"""{key}, '{{"bb": 1, "a": {{"z": 1, "yy": 2}}}}'""")


@pytest.fixture(scope="module")
def runs(vitess: VitessCluster) -> dict[str, Run]:
    """The sync that copied the rows, and the one that brought the same rows as changes."""
    types = ", ".join(f"{name} {case.definition}" for name, case in zip(COLUMNS, CASES, strict=True))
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
    text = case.json_of_change if phase == "changed" and case.json_of_change else case.json
    # repr tells 0.50 from 0.5 and true from 1.
    assert repr(value) == repr(parse(text))


def test_every_value_but_the_order_of_json_keys_is_the_same_in_the_copy_and_in_changes(
    runs: dict[str, Run],
) -> None:
    for table in ("value_types", "value_charsets"):
        copied, changed = (record(runs, phase, table)["data"] for phase in ("copied", "changed"))
        names = {name for name in copied if repr(copied[name]) != repr(changed[name])}
        assert names == {"id"} | (OUT_OF_ORDER if table == "value_types" else set())


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
    nothing = [name for name, literal in zip(COLUMNS, NOTHING, strict=True) if literal == "null"]
    assert {found["data"][name] for name in nothing} == {None}
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
    covered = {family_of(FIELDS[case.definition].column_type).names for case in CASES}
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


# Copied, and as Vitess decodes them for a change.
TIMES_IN_JSON = {
    "cast('-00:00:01' as time)": ("-00:00:01.000000", ""),
    "cast('-838:59:59' as time)": ("-838:59:59.000000", "25:04:05.000000"),
    "cast('100:00:00' as time)": ("100:00:00.000000", "04:00:00.000000"),
    "cast('31:59:59' as time)": ("31:59:59.000000",) * 2,
    "cast('12:34:56.789' as time(3))": ("12:34:56.789000",) * 2,
    "cast('0000-00-00' as date)": ("0000-00-00", "-0001-11-30"),
    "date'2024-02-29'": ("2024-02-29",) * 2,
    "timestamp'2024-02-29 12:34:56.123456'": ("2024-02-29 12:34:56.123456",) * 2,
}


def test_times_and_dates_inside_json_come_as_vitess_decodes_them_as_documented(
    vitess: VitessCluster,
) -> None:
    create(vitess, "src", "create table value_times_in_json (id int primary key, doc json)")
    values = f"json_array({', '.join(TIMES_IN_JSON)})"
    insert(vitess, "value_times_in_json", f"1, {values}")
    copied = read_well(vitess.config("src"), "value_times_in_json")
    insert(vitess, "value_times_in_json", f"2, {values}")
    changed = read_well(vitess.config("src"), "value_times_in_json", state=copied.state)
    (before,), (after,) = (done.records("value_times_in_json") for done in (copied, changed))
    assert json.loads(before["doc"]) == [text for text, _ in TIMES_IN_JSON.values()]
    assert json.loads(after["doc"]) == [text for _, text in TIMES_IN_JSON.values()]
    page = " ".join(project.text("docs/planetscale.md").split())
    assert 'a change shows a negative time as `""` or another one' in page
    assert "a time of 32 hours and more without multiples of 32 hours" in page
    assert 'and a zero date as `"-0001-11-30"`' in page


KEYS = {
    "value_key_time": ("k time primary key", ["'-01:00:00'", "'25:00:00'", "'12:34:56'"]),
    "value_key_pair": ("s int default 1, k time(3), primary key (s, k)", ["'-01:00:00'", "'25:00:00'"]),
    "value_key_date": ("k date primary key", ["'0000-00-00'", "'2024-00-00'", "'2024-02-31'"]),
    "value_key_datetime": ("k datetime primary key", ["'0000-00-00'", "'2024-00-00'"]),
    "value_key_gbk": ("k varchar(9) character set gbk primary key", ["x'a2ab'", "x'a2ac'", "'中'"]),
    "value_key_eucjpms": ("k varchar(9) character set eucjpms primary key", ["'①'", "'②'", "'㈱'"]),
    "value_key_flag": ("k tinyint(1) primary key", ["1", "2", "-1", "0"]),
}


@pytest.fixture(scope="module")
def keyed(vitess: VitessCluster) -> tuple[Run, Run]:
    """The copy of rows whose keys have no form in JSON, and the changes that delete them."""
    create(vitess, "src", *(f"create table {name} ({columns})" for name, (columns, _) in KEYS.items()))
    for name, (_, values) in KEYS.items():
        rows = ", ".join(f"({value})" for value in values)
        vitess.execute_on_mysqld(f"insert {LENIENT} into vt_src_0.{name} (k) values {rows}")  # noqa: S608 - the keys above
    config = vitess.config("src", include_cdc_columns=True)
    copied = read_well(config, *KEYS)
    for name in KEYS:
        vitess.execute_on_mysqld(f"delete from vt_src_0.{name}")  # noqa: S608 - a name from above
    return copied, read_well(config, *KEYS, state=copied.state)


@pytest.mark.parametrize("table", KEYS)
def test_rows_stay_apart_by_their_keys_and_deletes_carry_the_same(
    vitess: VitessCluster, keyed: tuple[Run, Run], table: str
) -> None:
    copied, deleted = (done.records(table) for done in keyed)
    keys = {repr(row["k"]) for row in copied}
    assert len(keys) == len(copied) == len(KEYS[table][1])
    assert "None" not in keys
    assert {repr(row["k"]) for row in deleted} == keys
    assert all(row["_ab_cdc_deleted_at"] for row in deleted)
    schema = discovered_schema(vitess, table, include_cdc_columns=True)
    for row in copied + deleted:
        jsonschema.validate(row, {**schema, "additionalProperties": False})


def test_a_column_without_null_has_null_in_its_schema_where_a_record_can_have_it(
    vitess: VitessCluster,
) -> None:
    columns = "d date not null, t time not null, b datetime not null, g varchar(9) character set gbk not null"
    create(vitess, "src", f"create table value_not_null (id int primary key, {columns})")
    values = "1, '0000-00-00', '-01:00:00', '0000-00-00', x'a2ab'"
    vitess.execute_on_mysqld(f"insert {LENIENT} into vt_src_0.value_not_null values ({values})")  # noqa: S608 - the values above
    (row,) = read_well(vitess.config("src"), "value_not_null").records("value_not_null")
    assert row == {"id": 1, "d": None, "t": None, "b": None, "g": None}
    jsonschema.validate(row, discovered_schema(vitess, "value_not_null"))
