from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from unit_tests.packaging.project import poetry, text, toml

REQUIREMENT = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<rest>(?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE
)
HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")

FILES = {
    "requirements.txt": {"main"},
    "requirements-build.txt": {"build"},
    "requirements-dev.txt": {"main", "build", "dev"},
}


def locked(groups: set[str]) -> dict[tuple[str, str], set[str]]:
    packages: list[dict[str, Any]] = toml("poetry.lock")["package"]
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


def test_the_lock_file_belongs_to_the_dependencies_in_pyproject() -> None:
    # As Poetry computes it (poetry.packages.locker.Locker, Poetry 2.5).
    legacy = ("dependencies", "source", "extras", "dev-dependencies")
    content = {key: poetry().get(key) for key in legacy}
    if "group" in poetry():
        content["group"] = poetry()["group"]
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert toml("poetry.lock")["metadata"]["content-hash"] == expected, "run `make lock`"


@pytest.mark.parametrize(("file", "groups"), FILES.items())
def test_requirements_pin_what_the_lock_file_pins_with_the_same_hashes(file: str, groups: set[str]) -> None:
    assert pinned(file) == locked(groups), "run `make lock`"


@pytest.mark.parametrize("file", FILES)
def test_every_line_of_the_requirements_is_a_pin_or_a_hash(file: str) -> None:
    for line in text(file).splitlines():
        assert re.match(r"[a-z0-9-]+==\S+ |    --hash=sha256:[0-9a-f]{64}( \\)?$", line), line


@pytest.mark.parametrize("file", ["poetry.lock", *FILES])
def test_no_index_of_one_machine_is_written_down(file: str) -> None:
    assert "[package.source]" not in text(file)
    assert "://" not in text(file)


def test_the_connector_needs_no_test_tool() -> None:
    names = {name for name, _ in pinned("requirements.txt")}
    assert names.isdisjoint(
        {"pytest", "mypy", "ruff", "hypothesis", "mysql-mimic", "sqlglot", "grpcio-tools"}
    )
