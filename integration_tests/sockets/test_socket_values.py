"""The values of every MySQL type over sockets, copied and changed: those that stdout gives."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.contract.type_cases import CASES, LENIENT
from integration_tests.support.command import configured, run
from integration_tests.support.socket_read import read_over_sockets
from integration_tests.support.tables import create
from integration_tests.values.charset_texts import CHARSETS
from integration_tests.values.test_values import COLUMNS, NOTHING, quoted

if TYPE_CHECKING:
    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

TYPES, TEXTS = "socket_types", "socket_charsets"


@pytest.fixture(scope="module")
def runs(vitess: VitessCluster) -> tuple[Json, list[Run]]:
    """The catalog, the first sync, the one that brought the same rows as changes, and one that copied all."""
    types = ", ".join(f"{name} {case.definition}" for name, case in zip(COLUMNS, CASES, strict=True))
    charsets = ", ".join(f"{charset} varchar(9) character set {charset}" for charset in CHARSETS)
    create(
        vitess,
        "src",
        f"create table {TYPES} (id int primary key, {types})",
        f"create table {TEXTS} (id int primary key, {', '.join(quoted(charsets))})",
    )
    config = vitess.config("src", include_cdc_columns=True, include_metadata=True)
    (message,) = run("discover", config=config).of_type("CATALOG")
    streams = {stream["name"]: stream for stream in message["catalog"]["streams"]}
    catalog = configured(streams[TYPES], streams[TEXTS])
    fill(vitess, 1)
    copied = run("read", config=config, catalog=catalog)
    fill(vitess, 2)
    changed = run("read", config=config, catalog=catalog, state=copied.state)
    whole = run("read", config=config, catalog=catalog)
    assert copied.exit_code == changed.exit_code == whole.exit_code == 0
    return catalog, [copied, changed, whole]


def fill(vitess: VitessCluster, key: int) -> None:
    rows = {
        TYPES: [[str(key), *(case.literal for case in CASES)], [str(key + 100), *NOTHING]],
        TEXTS: [[str(key), *(f"'{text}'" for text in CHARSETS.values())]],
    }
    for table, values in rows.items():
        for row in values:
            vitess.execute_on_mysqld(f"insert {LENIENT} into vt_src_0.{table} values ({', '.join(row)})")  # noqa: S608 - the cases' literals


# These differ from one read to the next.
OWN = {"_ab_cdc_cursor", "_ab_cdc_updated_at", "_planetscale_metadata"}


def rows_of(records: list[Json], schema: Json) -> list[Json]:
    """Rows and their changes by key, with times of day in microseconds."""
    rows = []
    for record in records:
        data = {name: value for name, value in record["data"].items() if name not in OWN}
        for name, value in data.items():
            if schema["properties"][name].get("format") == "time" and value:
                whole, _, fraction = value.partition(".")
                data[name] = f"{whole}.{fraction:0<6}"
        changes = sorted(change["field"] for change in record.get("meta", {"changes": []})["changes"])
        rows.append({"data": data, "changes": changes})
    return sorted(rows, key=lambda row: int(row["data"]["id"]))


def said(done: Run, stream: str) -> list[Json]:
    """The records of a stream on stdout, with all digits of their numbers."""
    parsed = (json.loads(line, parse_float=Decimal) for line in done.lines)
    records = (message["record"] for message in parsed if message["type"] == "RECORD")
    return [record for record in records if record["stream"] == stream]


@pytest.mark.parametrize("serialization", ["JSONL", "PROTOBUF"])
def test_every_type_arrives_as_on_stdout(
    vitess: VitessCluster, runs: tuple[Json, list[Run]], serialization: str
) -> None:
    catalog, (copied, changed, whole) = runs
    config = vitess.config("src", include_cdc_columns=True, include_metadata=True)
    for state, plain, keys in ((None, whole, {1, 2}), (copied.state, changed, {2})):
        done, destination = read_over_sockets(
            config, catalog, state=state, sockets=3, serialization=serialization
        )
        assert done.exit_code == 0
        for configured_stream in catalog["streams"]:
            stream = configured_stream["stream"]
            expected = said(plain, stream["name"])
            found = [record for record in destination.records if record["stream"] == stream["name"]]
            assert rows_of(found, stream["json_schema"]) == rows_of(expected, stream["json_schema"])
            assert {row["data"]["id"] % 100 for row in found} == keys


def as_the_go_connector_declares(schema: Json) -> Json:
    """The schema of a column in the catalog of a connection that began with the Go connector."""
    if schema.get("format") == "date":
        return {**schema, "airbyte_type": "date"}
    if schema.get("format") == "time":
        return {**schema, "airbyte_type": "time_with_timezone"}
    return schema


@pytest.mark.parametrize("declared", [{"type": ["null", "string"]}, None], ids=["all text", "Go connector"])
def test_a_catalog_that_says_otherwise_does_not_end_the_destination(
    vitess: VitessCluster, runs: tuple[Json, list[Run]], declared: Any
) -> None:
    catalog: Json = json.loads(json.dumps(runs[0]))
    for configured_stream in catalog["streams"]:
        properties = configured_stream["stream"]["json_schema"]["properties"]
        for name, schema in properties.items():
            properties[name] = declared or as_the_go_connector_declares(schema)
    config = vitess.config("src", include_cdc_columns=True, include_metadata=True)
    done, destination = read_over_sockets(config, catalog, serialization="PROTOBUF")
    assert done.exit_code == 0
    nulled = next(record for record in said(runs[1][0], TYPES) if record["data"]["id"] == 1)
    found = next(row for row in destination.data(TYPES) if int(row["id"]) == 1)
    assert {name for name, value in found.items() if value is None} == {
        name for name, value in nulled["data"].items() if value is None
    }
