"""Which schema changes leave old row events readable."""

from __future__ import annotations

import pytest

from source_planetscale.shape import Shape, ShapeColumn, hazard


def shape(*columns: str, charset: str = "") -> Shape:
    split = (text.partition(" ") for text in columns)
    return tuple(ShapeColumn(name, column_type, charset) for name, _, column_type in split)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (shape("id int", "a int"), shape("id int", "a int")),
        (shape("id int", "a int"), shape("id int", "a int", "z int")),
        (shape("e enum('x','y')"), shape("e enum('x','y','q')")),
        (shape("e set('x')"), shape("e set('x','y')")),
        (shape("id int"), shape("id bigint")),
        (shape("id int unsigned"), shape("id bigint unsigned")),
        (shape("id int(11)"), shape("id int")),
        (shape("v varchar(10)"), shape("v varchar(20)")),
        (shape("v decimal(10,2)"), shape("v decimal(12,4)")),
        (shape("v datetime"), shape("v datetime(6)")),
        (shape("v text"), shape("v longtext")),
    ],
)
def test_a_change_that_leaves_old_events_readable_is_harmless(old: Shape, new: Shape) -> None:
    assert hazard(old, new) is None


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (shape("id int", "a int"), shape("id int", "mid int", "a int"), "`mid`"),
        (shape("id int", "a int", "b int"), shape("id int", "b int", "cc int"), "`a`"),
        (shape("id int", "a int"), shape("id int"), "`a` is gone"),
        (shape("id int", "a int"), shape("id int", "b int"), "`b`"),
        (shape("id int", "a int", "b int"), shape("id int", "b int", "a int"), "`a`"),
        (shape("e enum('x','y')"), shape("e enum('q','x','y')"), "`e`"),
        (shape("e enum('x','y')"), shape("e enum('x')"), "`e`"),
        (shape("e enum('x')"), shape("e enum('xx','x')"), "`e`"),
        (shape("id bigint"), shape("id int"), "`id`"),
        (shape("id int"), shape("id bigint unsigned"), "`id`"),
        (shape("id int unsigned"), shape("id bigint"), "`id`"),
        (shape("v varchar(20)"), shape("v varchar(10)"), "`v`"),
        (shape("v varchar(20)"), shape("v text"), "`v`"),
        (shape("v float"), shape("v double"), "`v`"),
        (shape("v varchar(9)", charset="utf8mb4"), shape("v varchar(9)", charset="latin1"), "latin1"),
    ],
)
def test_a_change_that_moves_or_reinterprets_values_is_a_hazard(old: Shape, new: Shape, named: str) -> None:
    reason = hazard(old, new)
    assert reason is not None
    assert named in reason
