from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from unit_tests.packaging.project import text, toml

REQUIREMENT = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<rest>(?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE
)
HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")

# Requirements file, the directory of its lock file, the groups it holds.
FILES = [
    ("requirements.txt", ".", {"main"}),
    ("requirements-dev.txt", ".", {"main", "dev"}),
    ("tools/pyairbyte/requirements.txt", "tools/pyairbyte", {"main"}),
]
LOCKED = [".", "tools/pyairbyte"]


def locked(directory: str, groups: set[str]) -> dict[tuple[str, str], set[str]]:
    packages: list[dict[str, Any]] = toml(f"{directory}/poetry.lock")["package"]
    return {
        (package["name"], package["version"]): {file["hash"] for file in package["files"]}
        for package in packages
        if groups & set(package["groups"])
    }


def pinned(file: str) -> dict[tuple[str, str], set[str]]:
    return {
        (match["name"], match["version"]): set(HASH.findall(match["rest"]))
        for match in REQUIREMENT.finditer(text(file))
    }


@pytest.mark.parametrize("directory", LOCKED)
def test_the_lock_file_belongs_to_the_dependencies_in_pyproject(directory: str) -> None:
    # As Poetry computes it (poetry.packages.locker.Locker, Poetry 2.5).
    poetry = toml(f"{directory}/pyproject.toml")["tool"]["poetry"]
    content = {key: poetry.get(key) for key in ("dependencies", "source", "extras", "dev-dependencies")}
    if "group" in poetry:
        content["group"] = poetry["group"]
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert toml(f"{directory}/poetry.lock")["metadata"]["content-hash"] == expected, "run `make lock`"


@pytest.mark.parametrize(("file", "directory", "groups"), FILES)
def test_requirements_pin_what_the_lock_file_pins_with_the_same_hashes(
    file: str, directory: str, groups: set[str]
) -> None:
    assert pinned(file) == locked(directory, groups), "run `make lock`"


@pytest.mark.parametrize("file", [file for file, _, _ in FILES])
def test_every_line_of_the_requirements_is_a_pin_or_a_hash(file: str) -> None:
    for line in text(file).splitlines():
        assert re.match(r"[a-z0-9-]+==\S+ |    --hash=sha256:[0-9a-f]{64}( \\)?$", line), line


@pytest.mark.parametrize("directory", LOCKED)
def test_no_index_of_one_machine_is_written_down(directory: str) -> None:
    assert [package for package in toml(f"{directory}/poetry.lock")["package"] if "source" in package] == []


def test_the_connector_needs_no_test_tool() -> None:
    names = {name for name, _ in pinned("requirements.txt")}
    assert names.isdisjoint(
        {"pytest", "mypy", "ruff", "hypothesis", "mysql-mimic", "sqlglot", "grpcio-tools"}
    )
