"""What `spec` and `discover` write, held by golden files: the forms and tables that users have saved.

A change of a golden file is a change for every user: it belongs into the changelog, and a field or stream
that is gone or has another type makes a new major version. `GOLDEN_UPDATE=1` writes the files anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedded_database.contract.type_cases import CONTRACT
from integration_tests.support.command import run
from integration_tests.support.tables import create

if TYPE_CHECKING:
    from embedded_database.contract.database import Database
    from integration_tests.support.command import Json

GOLDEN = Path(__file__).parent / "golden"

NOT_NULL = (
    "create table golden_not_null (k time, f tinyint(1), d date not null, t time not null, "
    "g varchar(9) character set gbk not null, v varchar(9) not null, primary key (k, f))"
)
TABLES = (
    "create table golden_composite (id bigint, sku varchar(20), n int, primary key (sku, id))",
    "create table golden_keyless (a int, b varchar(10))",
    "create table golden_unique (a int not null, b int, unique key (a))",
    NOT_NULL,
    "create table golden_generated (id int primary key, v int as (id + 1) virtual, hidden int invisible)",
)


# The columns that version 0.1.0 was released with, by their numbers.
RELEASED_TYPES = (
    "tinyint",
    "tinyint unsigned",
    "tinyint(1)",
    "tinyint(1) unsigned",
    "bool",
    "smallint",
    "mediumint unsigned",
    "int",
    "int(5) unsigned zerofill",
    "int zerofill",
    "bigint",
    "bigint unsigned",
    "decimal(65,30)",
    "decimal(20,0)",
    "decimal(10,2)",
    "decimal(8,3) unsigned zerofill",
    "float",
    "float(7,3)",
    "double",
    "year",
    "bit(1)",
    "bit(8)",
    "bit(12)",
    "bit(64)",
    "date",
    "datetime",
    "datetime(3)",
    "datetime(6)",
    "timestamp null",
    "timestamp(6) null",
    "time",
    "time(3)",
    "time(6)",
    "char(5)",
    "varchar(9)",
    "varchar(20)",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "enum('a','b')",
    "enum('2','1')",
    "enum('x,y','it''s','(p)','1')",
    "enum('é','a') character set latin1",
    "set('r','b')",
    "set('a','9')",
    "set('é','it''s') character set latin1",
    "json",
    "binary(4)",
    "varbinary(8)",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "point",
    "geometry",
    "linestring",
    "vector(2)",
)


@pytest.fixture(scope="module")
def database(database: Database) -> Database:
    """A database with a table of every type, and one for every kind of key."""
    released = [f"c{number} {column_type}" for number, column_type in enumerate(RELEASED_TYPES)]
    later = dict.fromkeys(case.definition for case in CONTRACT if case.definition not in RELEASED_TYPES)
    columns = ", ".join([*released, *(f"`{definition}` {definition}" for definition in later)])
    of_types = f"create table golden_types (id bigint unsigned primary key, {columns})"
    create(database, "src", of_types, *TABLES)
    return database


def assert_golden(name: str, found: object) -> None:
    """Compares with a golden file, the order of all keys included."""
    path = GOLDEN / f"{name}.json"
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("GOLDEN_UPDATE") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def catalog(database: Database, **options: object) -> list[Json]:
    (message,) = run("discover", config={**database.config("src"), **options}).of_type("CATALOG")
    return [stream for stream in message["catalog"]["streams"] if stream["name"].startswith("golden_")]


def test_the_spec_is_the_golden_one() -> None:
    done = run("spec", warm=False)
    (message,) = done.of_type("SPEC")
    assert (done.exit_code, done.stderr) == (0, "")
    assert_golden("spec", message["spec"])


def test_the_catalog_is_the_golden_one(database: Database) -> None:
    assert_golden("catalog", catalog(database))


def test_the_catalog_with_added_columns_and_integers_for_tinyint1_is_the_golden_one(
    database: Database,
) -> None:
    options = {"do_not_treat_tiny_int_as_boolean": True}
    found = catalog(database, include_metadata=True, include_cdc_columns=True, options=options)
    assert_golden("catalog_with_options", found)


def test_every_stream_of_the_catalog_says_how_it_can_be_read(database: Database) -> None:
    for stream in catalog(database):
        assert stream["supported_sync_modes"] == ["full_refresh", "incremental"]
        assert stream["namespace"] == "src"
        assert stream["source_defined_cursor"] is True


def test_the_primary_key_stands_in_the_order_of_the_key_and_its_last_column_is_the_cursor(
    database: Database,
) -> None:
    streams = {stream["name"]: stream for stream in catalog(database)}
    assert streams["golden_composite"]["source_defined_primary_key"] == [["sku"], ["id"]]
    assert streams["golden_composite"]["default_cursor_field"] == ["id"]
    assert streams["golden_keyless"].get("source_defined_primary_key", []) == []
    assert streams["golden_keyless"].get("default_cursor_field", []) == []
