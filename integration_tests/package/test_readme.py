"""The README: its commands run as they stand, and what it lists is what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database import EmbeddedDatabase
from embedded_database.sample import load_shop
from integration_tests.support.destination import DELETED_AT
from unit_tests.packaging.project import toml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.vitess.cluster import VitessCluster

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIG = Path("integration_tests", "acceptance", "config.json")
PYAIRBYTE = ROOT / ".venv-pyairbyte" / "bin" / "python"

_BLOCK = re.compile(r"(?:<!-- (?P<how>[^>]*) -->\n)?```sh\n(?P<commands>.*?)```", re.DOTALL)
_MAKE = re.compile(r"^make ([a-z ]+?) *(?:#.*)?$", re.MULTILINE)
_CUSTOMERS = 60
# Those of Vitess's test image with PORT=33574; they stand for the printed ones.
_MYSQL_PORT, _GRPC_PORT = "33577", "33575"


@dataclass(frozen=True)
class Block:
    """Commands as the README shows them, and how they are tried here."""

    how: str
    commands: str


BLOCKS = [Block(match["how"] or "", match["commands"]) for match in _BLOCK.finditer(README)]


def blocks(how: str) -> str:
    return "".join(block.commands for block in BLOCKS if block.how == how)


def program(path: Path, target: Path | str, *arguments: str) -> None:
    """Writes a program that runs another one, as a set-up environment has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{target}" {" ".join(arguments)} "$@"\n')
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory in which the README's commands find what they name."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    program(tmp_path / ".venv" / "bin" / "source-planetscale", sys.executable, "-m", "source_planetscale")
    program(tmp_path / ".venv" / "bin" / "python", sys.executable)
    return tmp_path


@pytest.fixture
def database(checkout: Path) -> Iterator[EmbeddedDatabase]:
    """What `make local` runs, on other ports."""
    with EmbeddedDatabase() as running:
        load_shop(running, "shop", _CUSTOMERS)
        config = {
            **json.loads((ROOT / CONFIG).read_text()),
            "mysql_port": running.mysql_port,
            "grpc_port": running.grpc_port,
        }
        (checkout / CONFIG).parent.mkdir(parents=True)
        (checkout / CONFIG).write_text(json.dumps(config))
        yield running


def shell(commands: str, checkout: Path, **environment: str) -> str:
    """Runs commands like a person who stops at the first one that fails; gives what they print."""
    finished = subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=checkout,
        env={**os.environ, **environment},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def records(path: Path) -> list[dict[str, Any]]:
    messages = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [message["record"]["data"] for message in messages if message["type"] == "RECORD"]


def test_every_command_shown_says_how_it_is_tried() -> None:
    tried = {"make", "run: local", "run: pyairbyte", "run: vitess"}
    assert tried <= {block.how for block in BLOCKS}
    untried = [block for block in BLOCKS if block.how not in tried]
    assert all(block.how.startswith("not run: ") for block in untried), untried


def test_every_make_command_shown_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    shown = {target for names in _MAKE.findall(blocks("make")) for target in names.split()}
    assert shown
    assert shown <= targets


def test_the_plain_commands_copy_and_then_carry_exactly_the_change(
    checkout: Path,
    database: EmbeddedDatabase,  # noqa: ARG001 - the commands read it
) -> None:
    shell(blocks("run: local"), checkout)
    assert len(records(checkout / "first.jsonl")) == _CUSTOMERS * 6
    (change,) = records(checkout / "second.jsonl")
    assert (change["id"], change["city"]) == (42, "Lagos")


def test_the_script_for_pyairbyte_has_todays_rows_in_duckdb(
    checkout: Path, database: EmbeddedDatabase
) -> None:
    if not PYAIRBYTE.exists():
        pytest.skip("PyAirbyte is not installed: `make pyairbyte` needs Python 3.10 to 3.12")
    program(checkout / ".venv-pyairbyte" / "bin" / "python", PYAIRBYTE)
    first = shell(blocks("run: pyairbyte"), checkout, HOME=str(checkout))
    assert f"customers: {_CUSTOMERS} rows in customers_today" in first
    database.execute("update customers set city = 'Porto' where id = 42", "shop")
    database.execute("update customers set city = 'Lagos' where id = 42", "shop")
    database.execute("delete from customers where id = 7", "shop")
    second = shell(blocks("run: pyairbyte"), checkout, HOME=str(checkout))
    assert "3 records came from shop" in second
    assert f"customers: {_CUSTOMERS - 1} rows in customers_today" in second
    assert "AirbyteSubprocessFailedError" not in first + second
    assert duckdb(checkout, "select city from shop.customers_today where id in (7, 42)") == ["Lagos"]


def duckdb(checkout: Path, query: str) -> list[str]:
    """The first column of a query on what the script wrote."""
    script = (
        "import duckdb, sys\n"
        "for row in duckdb.connect(sys.argv[1]).execute(sys.argv[2]).fetchall():\n"
        "    print(row[0])"
    )
    path = checkout / "build" / "pyairbyte.duckdb"
    return subprocess.check_output([PYAIRBYTE, "-c", script, path, query], text=True).split()


def test_the_commands_for_a_real_vitess_carry_exactly_the_changes(
    checkout: Path, vitess: VitessCluster
) -> None:
    vitess.execute("drop table if exists pets", "shop")
    commands = blocks("run: vitess")
    assert _MYSQL_PORT in commands
    assert _GRPC_PORT in commands
    commands = commands.replace("127.0.0.1", vitess.host)
    commands = commands.replace(_MYSQL_PORT, str(vitess.mysql_port)).replace(
        _GRPC_PORT, str(vitess.grpc_port)
    )
    shell(commands, checkout)
    assert {row["id"] for row in records(checkout / "first.jsonl")} == {1, 2, 3}
    second = records(checkout / "second.jsonl")
    assert {(row["id"], row["name"], row[DELETED_AT] is not None) for row in second} == {
        (2, "Hedy", False),
        (3, "Linus", True),
    }


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_table_of_rooms_has_every_room_in_the_order_of_the_layers() -> None:
    table = re.findall(r"^\| `.*?\|", README, re.MULTILINE)
    package = ROOT / "source_planetscale"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py"}
    rooms = {path.name + "/" for path in package.iterdir() if (path / "__init__.py").exists()}
    named = [name for row in table for name in re.findall(r"`(\w+(?:\.py|/))`", row)]
    assert sorted(named) == sorted(modules | rooms)
    _command, *rows = toml("pyproject.toml")["tool"]["importlinter"]["contracts"][0]["layers"]
    layers = [layer for row in rows for layer in row.split(" | ")]
    assert [f"source_planetscale.{name.removesuffix('/').removesuffix('.py')}" for name in named] == layers


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 350
