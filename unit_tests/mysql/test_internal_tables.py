"""Which tables Vitess keeps for itself, and what is said of a table that is not there."""

from __future__ import annotations

import pytest

from source_planetscale.mysql.internal_tables import about_missing_table, is_internal_table
from source_planetscale.mysql.keyspaces import KeyspaceChoice

UUID = "6ace8bcef73211ea87e9f875a4d24e90"


@pytest.mark.parametrize(
    "name",
    [
        *(f"_vt_{kind}_{UUID}_20200915120410_" for kind in ("hld", "prg", "evc", "drp", "vrp", "x1Z")),
        *(
            f"_6ace8bce_f732_11ea_87e9_f875a4d24e90_20200915120410_{kind}"
            for kind in ("gho", "ghc", "del", "new", "vrepl")
        ),
        *(f"_vt_{kind}_{UUID}_20200915120410" for kind in ("HOLD", "PURGE", "EVAC", "DROP")),
        "_orders_old",
        "_é ö_old",
        "_a\nb_old",
    ],
)
def test_internal_tables_are_recognised(name: str) -> None:
    assert is_internal_table(name)


@pytest.mark.parametrize(
    "name",
    [
        "a_vt_b",
        "_vt_",
        "_vt_hld",
        f"_vt_hold_{UUID}_20200915120410_",
        f"_vt_hold_{UUID}_20200915120410",
        f"_vt_KEEP_{UUID}_20200915120410",
        f"x_vt_DROP_{UUID}_20200915120410",
        f"_vt_hld_{UUID}_20200915120410",
        f"_vt_hld_{UUID}_2020091512041_",
        f"x_vt_hld_{UUID}_20200915120410_",
        f"_vt_hld_{UUID}_20200915120410_x",
        f"_vt_hld_{UUID}_20200915120410_\n",
        "go_12345678_abcd_ef01_x",
        "_6ace8bce_f732_11ea_87e9_f875a4d24e90_20200915120410_x",
        "x_6ace8bce_f732_11ea_87e9_f875a4d24e90_20200915120410_gho",
        "_20240101_vrepl",
        "orders_old",
        "_old",
        "_orders_older",
        "_orders_new",
        "_orders_gho",
    ],
)
def test_tables_that_only_look_internal_are_kept(name: str) -> None:
    assert not is_internal_table(name)


@pytest.mark.parametrize(
    ("table", "keyspace", "sentence"),
    [
        ("orders", "shop", "dropped or renamed"),
        ("_x_old", "shop", "VStream sends no changes of them"),
        (f"_vt_HOLD_{UUID}_20200915120410", "shop", "VStream sends no changes of them"),
        ("orders", "src", "this source reads database shop"),
    ],
)
def test_a_table_that_is_not_there_is_told_with_its_reason(table: str, keyspace: str, sentence: str) -> None:
    message = about_missing_table(table, keyspace, KeyspaceChoice("shop"))
    assert f"Table {table} of keyspace {keyspace} " in message
    assert sentence in message
    assert message.endswith(".")
