"""What is said ahead of servers, tablets and tables that will trouble a sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from source_planetscale.endpoint import Keyspace, TabletType
from source_planetscale.mysql.readiness import (
    Finding,
    Tablet,
    about_cells,
    about_missing_tablets,
    about_positions,
    about_rights,
    about_settings,
    about_starting_positions,
    about_tables,
)
from source_planetscale.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

UUID = "6ca9ebda-e590-11f1-936a-02fc00000001"
WHERE = "shard -80 (primary) of keyspace shop"
SHARDS = ["-80", "80-"]
GOOD = {
    "log_bin": "ON",
    "gtid_mode": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_value_options": "",
    "binlog_expire_logs_seconds": "259200",
    "log_replica_updates": "ON",
}


def told(findings: Iterable[Finding]) -> list[tuple[str, bool]]:
    """The sentences, which end as sentences do, and whether each is fatal."""
    found = list(findings)
    assert all(finding.sentence.endswith(".") for finding in found)
    return [(finding.sentence, finding.fatal) for finding in found]


@pytest.mark.parametrize("variables", [GOOD, {}, {**GOOD, "binlog_expire_logs_seconds": "0"}])
@pytest.mark.parametrize("kind", list(TabletType))
def test_a_server_that_is_set_up_well_or_tells_nothing_is_left_alone(
    variables: dict[str, str], kind: TabletType
) -> None:
    assert told(about_settings(WHERE, kind, variables)) == []


@pytest.mark.parametrize(
    ("name", "value", "part", "fatal"),
    [
        ("log_bin", "OFF", "writes no binary log", True),
        ("gtid_mode", "OFF", "no GTIDs", True),
        ("gtid_mode", "ON_PERMISSIVE", "no GTIDs", False),
        ("binlog_format", "STATEMENT", "as statements", True),
        ("binlog_format", "MIXED", "as statements", False),
        ("binlog_row_image", "MINIMAL", "without the whole row", True),
        ("binlog_row_image", "NOBLOB", "without the whole row", False),
        ("binlog_row_value_options", "PARTIAL_JSON", "JSON come in parts", False),
        ("binlog_expire_logs_seconds", "7200", "for 2.0 hours", False),
    ],
)
def test_a_setting_that_loses_changes_is_told_with_its_value(
    name: str, value: str, part: str, fatal: bool
) -> None:
    ((sentence, is_fatal),) = told(about_settings(WHERE, TabletType.PRIMARY, {**GOOD, name: value}))
    assert f"{name}={value}" in sentence
    assert WHERE in sentence
    assert part in sentence
    assert is_fatal is fatal


@pytest.mark.parametrize("name", ["log_replica_updates", "log_slave_updates"])
def test_a_replica_that_does_not_log_what_it_replicates_is_told(name: str) -> None:
    variables = {**GOOD, name: "OFF"}
    if name == "log_slave_updates":
        del variables["log_replica_updates"]
    assert told(about_settings(WHERE, TabletType.PRIMARY, variables)) == []
    ((sentence, fatal),) = told(about_settings(WHERE, TabletType.REPLICA, variables))
    assert "read from the primary" in sentence
    assert fatal


def test_tagged_gtids_are_told_and_others_are_not() -> None:
    assert told(about_positions(WHERE, f"{UUID}:1-5")) == []
    assert told(about_positions(WHERE, "")) == []
    assert told(about_positions(WHERE, "0-1-5")) == []
    ((sentence, fatal),) = told(about_positions(WHERE, f"{UUID}:1-5:reporting:1-2"))
    assert "reporting" in sentence
    assert fatal


def tablets(*rows: str) -> list[Tablet]:
    return [Tablet(*row.split()) for row in rows]


ALL = tablets(
    "zone1 shop -80 PRIMARY SERVING",
    "zone1 shop -80 REPLICA SERVING",
    "zone1 shop 80- PRIMARY SERVING",
    "zone2 shop 80- REPLICA NOT_SERVING",
    "zone1 other 80- REPLICA SERVING",
)


def test_shards_without_a_tablet_of_the_chosen_kind_are_named() -> None:
    replicas = Keyspace("shop", TabletType.REPLICA)
    ((sentence, fatal),) = told(about_missing_tablets(replicas, SHARDS, ALL))
    assert "No replica tablet serves shard(s) 80- of keyspace shop" in sentence
    assert fatal
    assert told(about_missing_tablets(replicas, ["-80"], ALL)) == []
    assert told(about_missing_tablets(Keyspace("shop"), SHARDS, ALL)) == []


@pytest.mark.parametrize(("cells", "count"), [("", 0), ("zone1", 0), ("zone2, zone1", 0), ("zone9", 1)])
def test_tablets_in_other_cells_than_the_configured_ones_are_named(cells: str, count: int) -> None:
    found = told(about_cells(Keyspace("shop", cells=cells), SHARDS, ALL))
    assert len(found) == count
    for sentence, fatal in found:
        assert "in cell(s) zone1, not in zone9" in sentence
        assert not fatal


def test_tables_without_a_key_are_counted_and_some_of_them_named() -> None:
    column = Column("a", "int")
    keyless = [Table("shop", f"t{number}", (column,)) for number in range(7)]
    keyed = Table("shop", "k", (column,), ("a",))
    ((sentence, fatal),) = told(about_tables(Keyspace("shop"), [*keyless, keyed]))
    assert "7 table(s)" in sentence
    assert "t0, t1, t2, t3, t4 and 2 more" in sentence
    assert not fatal
    assert told(about_tables(Keyspace("shop"), [keyed])) == []


def test_an_empty_keyspace_is_told_and_filters_that_match_nothing_are_an_error() -> None:
    ((sentence, fatal),) = told(about_tables(Keyspace("shop"), []))
    assert "has no tables" in sentence
    assert not fatal
    ((sentence, fatal),) = told(about_tables(Keyspace("shop", table_patterns=("ordr%",)), []))
    assert "matches ordr%" in sentence
    assert fatal


@pytest.mark.parametrize(
    ("answers", "count", "fatal"),
    [
        ({}, 0, False),
        ({"a": None}, 0, False),
        ({"a": None, "b": "SELECT command denied"}, 1, False),
        ({"a": "SELECT command denied", "b": "SELECT command denied"}, 1, True),
    ],
)
def test_tables_that_may_not_be_read_are_told_with_the_servers_words(
    answers: dict[str, str | None], count: int, fatal: bool
) -> None:
    found = told(about_rights(Keyspace("shop"), answers))
    assert len(found) == count
    for sentence, is_fatal in found:
        assert "SELECT command denied" in sentence
        assert is_fatal is fatal


def test_starting_positions_of_shards_and_keyspaces_that_are_not_read_are_told() -> None:
    good = {"shop": {"-80": "MySQL56/"}}
    assert told(about_starting_positions(Keyspace("shop"), SHARDS, good)) == []
    wrong = {"shop": {"-80": "MySQL56/", "-40": "MySQL56/"}, "shpo": {"-80": "MySQL56/"}}
    ((sentence, fatal),) = told(about_starting_positions(Keyspace("shop"), SHARDS, wrong))
    assert "starting_gtids names shpo, shop/-40" in sentence
    assert not fatal
