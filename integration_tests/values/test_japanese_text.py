"""Every character that a column in EUC-JP can hold, copied and changed, against the server's own way back."""

# ruff: noqa: S608 - the statements are the tests' own

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integration_tests.support.command import read_well
from integration_tests.support.tables import create
from tools.compare_charsets import make_candidates

if TYPE_CHECKING:
    from integration_tests.support.command import Run
    from integration_tests.vitess.cluster import VitessCluster

CHARSETS = ("eucjpms", "ujis")
PHASES = pytest.mark.parametrize("phase", ["copied", "changed"])
# What the server writes for bytes that are no character of Unicode.
UNKNOWN = set("?\ufffd")


def table_of(charset: str) -> str:
    return f"japanese_{charset}"


@pytest.fixture(scope="module")
def runs(vitess: VitessCluster) -> dict[str, Run]:
    """The sync that copied every character, and the one that brought them all once more as changes.

    `b` holds the bytes, `v` the text that they are, and `u` what the server makes of it in UTF-8.
    """
    create(
        vitess,
        "src",
        *(
            f"create table {table_of(charset)} (id int auto_increment primary key, b varbinary(4),"
            f" v varchar(4) character set {charset}, u varchar(4) character set utf8mb4)"
            for charset in CHARSETS
        ),
    )
    tables = [table_of(charset) for charset in CHARSETS]
    with closing(vitess.connect_mysqld("vt_src_0")) as connection, connection.cursor() as cursor:
        cursor.execute("set session cte_max_recursion_depth = 2000000, sql_mode = ''")
        for charset in CHARSETS:
            make_candidates(connection, charset)
            cursor.execute(
                f"insert into {table_of(charset)} (b, v, u)"
                " select b, v, convert(v using utf8mb4) from candidates"
            )
        copied = read_well(vitess.config("src"), *tables)
        for table in tables:
            cursor.execute(f"insert into {table} (b, v, u) select b, v, u from {table}")
    return {"copied": copied, "changed": read_well(vitess.config("src"), *tables, state=copied.state)}


@PHASES
@pytest.mark.parametrize("charset", CHARSETS)
def test_every_character_is_the_one_that_the_server_gives_for_it(
    runs: dict[str, Run], charset: str, phase: str
) -> None:
    found = runs[phase].record_messages(table_of(charset))
    known = [record["data"] for record in found if not UNKNOWN.issuperset(record["data"]["u"])]
    assert len(known) > 13_000
    assert [row for row in known if row["v"] != row["u"]] == []
