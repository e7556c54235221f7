"""Every line of the fault table names tests that exist, and every fault test stands in it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
# Modules whose every test is a fault.
WHOLE = ("real", "local", "schema", "limits", "replica")

_MODULE = re.compile(r"`(\w+)`(?: is)?\s+`((?:unit|integration)_tests/[\w/]+\.py)`")
_NAMED = re.compile(r"`(\w+)::(test_\w+)`")
_TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


def names_in(path: str) -> set[str]:
    return set(_TEST.findall((ROOT / path).read_text(encoding="utf-8")))


MODULES = dict(_MODULE.findall(TABLE))
NAMED = _NAMED.findall(TABLE)


def test_every_test_that_the_table_names_exists() -> None:
    missing = [f"{module}::{test}" for module, test in NAMED if test not in names_in(MODULES[module])]
    assert missing == []


def test_every_line_of_the_table_names_a_test() -> None:
    lines = [line for line in TABLE.splitlines() if line.startswith("|")]
    facts = [line for line in lines if not line.startswith(("| Fault |", "| :---"))]
    assert facts
    assert [line for line in facts if not _NAMED.search(line)] == []


def test_every_fault_test_stands_in_the_table() -> None:
    named = set(NAMED)
    missing = [
        (module, test) for module in WHOLE for test in names_in(MODULES[module]) - {t for _, t in named}
    ]
    assert missing == []
