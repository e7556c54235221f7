"""Every line of the checks' first table names tests that exist."""

from __future__ import annotations

import re

from unit_tests.packaging.project import text

TABLE = text("docs/checks.md").partition("## Airbyte's QA suite")[0]
MODULES = dict(re.findall(r"`(\w+)`(?: is)?\s+`((?:unit|integration)_tests/[\w/]+\.py)`", TABLE))
NAMED = re.findall(r"`(\w+)::(\w+)`", TABLE)


def test_every_test_that_the_table_names_exists() -> None:
    missing = [
        f"{module}::{name}"
        for module, name in NAMED
        if not re.search(rf"^(?:def|class) {name}\(", text(MODULES[module]), re.MULTILINE)
    ]
    assert missing == []


def test_every_line_of_the_table_names_a_test() -> None:
    lines = [line for line in TABLE.splitlines() if line.startswith("|")]
    facts = [line for line in lines if not line.startswith(("| Check |", "| :---"))]
    assert facts
    assert [line for line in facts if "::" not in line] == []
