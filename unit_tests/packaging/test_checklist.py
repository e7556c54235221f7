"""The page of promises: every test that it names is there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "checklist.md"
ROW = re.compile(r"\| (\d+)\. .* \| (.*) \|")
PROTOCOL, DEFECTS = 31, 17


def rows() -> Iterator[tuple[int, list[str]]]:
    """Number and tests of each row, in order."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = ROW.fullmatch(line)
        if row:
            yield int(row[1]), re.findall(r"`(test_\w+)`", row[2])


def existing() -> set[str]:
    rooms = ("unit_tests", "embedded_database", "integration_tests")
    files = [file for room in rooms for file in PROJECT.glob(f"{room}/**/*.py")]
    return {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}


def test_every_promise_stands_in_its_place_and_names_a_test() -> None:
    assert [number for number, _ in rows()] == [*range(1, PROTOCOL + 1), *range(1, DEFECTS + 1)]
    assert all(tests for _, tests in rows())


def test_every_named_test_exists() -> None:
    assert {test for _, tests in rows() for test in tests} - existing() == set()


def test_the_linter_refuses_unused_parameters() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "ARG" in settings["select"]
    assert not [rule for rule in settings.get("ignore", []) if rule.startswith("ARG")]
