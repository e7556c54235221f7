"""The pages that say which test holds what: the tests that they name exist, and none is left out."""

from __future__ import annotations

import re
from functools import cache

import pytest

from unit_tests.packaging.project import ROOT, text, toml

FAULTS, CHECKS, PROMISES = "docs/faults.md", "docs/checks.md", "docs/checklist.md"
PAGES = [FAULTS, CHECKS, PROMISES, "docs/settings.md", "docs/jobs.md"]
ROOMS = ("unit_tests", "embedded_database", "integration_tests", "cluster_tests")
# Modules of the fault page whose every test is a fault.
WHOLE = (
    "real",
    "embedded",
    "schema",
    "during",
    "silent",
    "names",
    "limits",
    "limited",
    "taken",
    "replica",
    "failovers",
    "replicas",
    "moves",
)
PROTOCOL, DEFECTS = 31, 17

# A page gives the modules short names where it needs them: `faults` is `integration_tests/...`.
_MODULE = re.compile(
    r"`(\w+)`(?: is)?\s+`((?:unit_tests|integration_tests|embedded_database|cluster_tests)/[\w/]+\.py)`"
)
_NAMED = re.compile(r"`(?:(\w+)::)?((?:test_|Test)\w+)`")
_TEST = re.compile(r"^(?:def|class) ((?:test_|Test)\w+)\(", re.MULTILINE)


@cache
def content(page: str) -> str:
    """A page without the part that tools of Airbyte fill in."""
    return text(page).partition("## Airbyte's QA suite")[0]


def rows(page: str) -> list[str]:
    """The lines of a page's tables, without their headings."""
    lines = content(page).splitlines()
    return [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("| :---") and not following.startswith("| :---")
    ]


@cache
def names_in(path: str) -> frozenset[str]:
    return frozenset(_TEST.findall(text(path)) if path else ())


@cache
def names_anywhere() -> frozenset[str]:
    files = (file for room in ROOMS for file in (ROOT / room).rglob("test_*.py"))
    return frozenset().union(*(names_in(str(file.relative_to(ROOT))) for file in files))


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    modules = dict(_MODULE.findall(content(page)))
    missing = [
        (module, test)
        for module, test in _NAMED.findall(content(page))
        if test not in (names_in(modules.get(module, "")) if module else names_anywhere())
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_line_of_a_pages_tables_names_a_test(page: str) -> None:
    assert rows(page)
    assert [line for line in rows(page) if not _NAMED.search(line)] == []


def test_every_fault_test_stands_in_the_table() -> None:
    modules = dict(_MODULE.findall(content(FAULTS)))
    named = {test for _, test in _NAMED.findall(content(FAULTS))}
    left_out = {module: names_in(modules[module]) - named for module in WHOLE}
    assert not any(left_out.values()), left_out


def test_every_promise_stands_in_its_place() -> None:
    numbers = [int(number) for line in rows(PROMISES) for number in re.findall(r"^\| (\d+)\. ", line)]
    assert numbers == [*range(1, PROTOCOL + 1), *range(1, DEFECTS + 1)]


def test_the_linter_refuses_unused_parameters() -> None:
    settings = toml("pyproject.toml")["tool"]["ruff"]["lint"]
    assert "ARG" in settings["select"]
    assert not [rule for rule in settings.get("ignore", []) if rule.startswith("ARG")]
