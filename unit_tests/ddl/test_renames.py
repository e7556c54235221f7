"""Which table stands under which name after a rename, and what a migration tool's cut-over is."""

from __future__ import annotations

import pytest

from source_planetscale.ddl import Effect, apply, parse
from source_planetscale.shape import ShapeColumn

AWAY = {Effect.RENAMED_AWAY}
OTHER_ROWS = {Effect.ROWS_EXCHANGED, Effect.SHAPE}
CUTOVER = {Effect.CUTOVER, Effect.SHAPE}
SAME = {Effect.HARMLESS}

UUID = "6ace8bcef73211ea87e9f875a4d24e90"
HOLD = f"_vt_hld_{UUID}_20240915120410_"
COPY = f"_vt_vrp_{UUID}_20240915120410_"
OLDER_COPY = "_6ace8bce_f732_11ea_87e9_f875a4d24e90_20240915120410_vrepl"
LONG = "a" * 64

CASES: dict[str, dict[str, set[Effect]]] = {
    "rename table t to u": {"t": AWAY, "u": OTHER_ROWS},
    "rename tables t to u, v to w": {"t": AWAY, "u": OTHER_ROWS, "v": AWAY, "w": OTHER_ROWS},
    "rename table t to x, u to t, x to u": {"t": OTHER_ROWS, "u": OTHER_ROWS, "x": AWAY},
    "rename table t to x, x to t": {"t": SAME, "x": AWAY},
    "rename table t to t_old, t_new to t": {"t": OTHER_ROWS, "t_old": OTHER_ROWS, "t_new": AWAY},
    "rename table a.t to b.t": {"t": AWAY | OTHER_ROWS},
    "alter table u rename t": {"t": OTHER_ROWS, "u": AWAY},
    f"RENAME TABLE `t` TO `{HOLD}`, `{COPY}` TO `t`, `{HOLD}` TO `{COPY}`": {"t": CUTOVER},
    f"rename table t to {HOLD}": {"t": AWAY},
    f"rename table {HOLD} to t": {"t": OTHER_ROWS},
    f"rename table t to swap, {OLDER_COPY} to t, swap to {OLDER_COPY}": {"t": CUTOVER},
    "rename /* gh-ost */ table `s`.`t` to `s`.`_t_del`, `s`.`_t_gho` to `s`.`t`": {"t": CUTOVER},
    "alter table _t_gho rename to t": {"t": CUTOVER},
    "rename table t to _t_20240102030405_del, _t_gho to t": {"t": CUTOVER},
    f"rename table {LONG} to _{LONG[:59]}_del, _{LONG[:59]}_gho to {LONG}": {LONG: CUTOVER},
    "RENAME TABLE `s`.`t` TO `s`.`_t_old`, `s`.`_t_new` TO `s`.`t`": {"t": CUTOVER},
    "rename table t to __t_old, ___t_new to t": {"t": CUTOVER},
    "rename table t to _t_old_20240102_030405, _t_new to t": {"t": CUTOVER},
    "rename table t to lhma_2024_01_02_03_04_05_678_t, lhmn_t to t": {"t": CUTOVER},
    "rename table t to __osc_old_t, __osc_new_t to t": {"t": CUTOVER},
    # A person could have named these.
    "rename table _t_new to t": {"t": OTHER_ROWS},
    "rename table t to backup, _t_new to t": {"t": OTHER_ROWS},
    "rename table t to _t_del, _u_gho to t": {"t": OTHER_ROWS},
    "rename table t to _t_old, _u_new to t": {"t": OTHER_ROWS},
    "rename table a.t to a._t_del, b._t_gho to a.t": {"t": OTHER_ROWS},
}


@pytest.mark.parametrize("text", CASES)
def test_a_rename_says_for_each_name_what_stands_there_now(text: str) -> None:
    statement = parse(text)
    assert statement.understood
    assert {name: statement.effects_on(name) for name in CASES[text]} == CASES[text]


@pytest.mark.parametrize("text", [text for text in CASES if "x to t" not in text and LONG not in text])
def test_the_shape_of_a_table_does_not_tell_that_of_one_which_takes_its_name(text: str) -> None:
    assert apply(parse(text), "t", (ShapeColumn("id", "int", ""),), "utf8mb4") is None


def test_a_table_that_is_back_under_its_name_has_its_shape() -> None:
    before = (ShapeColumn("id", "int", ""),)
    altered = apply(parse("rename table t to x, x to t"), "t", before)
    assert altered is not None
    assert altered.shape == before
