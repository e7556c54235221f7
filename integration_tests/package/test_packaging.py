"""The image's steps, run in an empty directory: the wheel in a clean environment, and its command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.dockerfile import Stage, parse, run_stage

ROOT = Path(__file__).resolve().parents[2]

# What pip says when there is no way to the package index.
UNREACHABLE = re.compile(
    r"Failed to establish a new connection|Name or service not known|Network is unreachable"
)


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return {stage.name: stage for stage in parse((ROOT / "Dockerfile").read_text())}


@pytest.fixture(scope="module")
def root(stages: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The builder stage, with a directory as its `/` and this Python as the base image's."""
    root = tmp_path_factory.mktemp("image")
    (root / "opt").mkdir()
    python = root / "usr" / "python"
    python.parent.mkdir()
    interpreter = getattr(sys, "_base_executable", sys.executable)
    if subprocess.run([interpreter, "-c", "import ensurepip"], check=False, capture_output=True).returncode:
        pytest.skip(f"{interpreter} comes without ensurepip (Debian, Ubuntu: apt install python3-venv)")
    python.write_text(f'#!/bin/sh\nexec "{interpreter}" "$@"\n')
    python.chmod(0o755)
    try:
        run_stage(stages["builder"], ROOT, root, bare_environment(root, python.parent))
    except subprocess.CalledProcessError as error:
        if UNREACHABLE.search(error.stdout):
            pytest.skip("the package index cannot be reached, so nothing can be installed")
        pytest.fail(f"{error.cmd[-1]}\n{error.stdout}")
    return root


def bare_environment(root: Path, *path: Path) -> dict[str, str]:
    """The environment of a container: a path, a home, and how this machine reaches the index."""
    reach = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower().endswith("_proxy") or name in {"SSL_CERT_FILE"}
    }
    directories = [*map(str, path), "/usr/bin", "/bin"]
    return {**reach, "PATH": os.pathsep.join(directories), "HOME": str(root), "LC_ALL": "C.UTF-8"}


def connector(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = root / "opt" / "connector" / "bin" / "source-planetscale"
    return subprocess.run(
        [command, *arguments],
        cwd=root,
        env=bare_environment(root),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_installed_command_prints_the_spec(root: Path) -> None:
    finished = connector(root, "spec")
    assert finished.returncode == 0, finished.stderr
    messages = [json.loads(line) for line in finished.stdout.splitlines()]
    specs = [message["spec"] for message in messages if message["type"] == "SPEC"]
    on_disk = json.loads((ROOT / "source_planetscale" / "spec.json").read_text())
    assert [spec["connectionSpecification"] for spec in specs] == [on_disk["connectionSpecification"]]


def test_the_installed_command_fails_a_check_with_a_sentence(root: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "mysql_port": 1,
                "grpc_port": 1,
                "database": "none",
                "username": "none",
                "password": "made-up-password",
                "mysql_tls": False,
                "grpc_tls": False,
            }
        )
    )
    finished = connector(root, "check", "--config", str(config))
    assert finished.returncode == 0, finished.stderr
    messages = [json.loads(line) for line in finished.stdout.splitlines()]
    statuses = [message["connectionStatus"] for message in messages if "connectionStatus" in message]
    assert [status["status"] for status in statuses] == ["FAILED"]
    assert "Traceback" not in statuses[0]["message"]
    assert "made-up-password" not in finished.stdout + finished.stderr


def test_the_code_that_runs_is_the_wheels(root: Path) -> None:
    python = root / "opt" / "connector" / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import source_planetscale; print(source_planetscale.__file__)"],
        cwd=root,
        env=bare_environment(root),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert Path(where.strip()).is_relative_to(root / "opt" / "connector")


def test_the_wheel_holds_nothing_but_the_connector(root: Path) -> None:
    (wheel,) = (root / "build" / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    outside = [name for name in names if not name.startswith("source_planetscale/")]
    assert all(".dist-info/" in name for name in outside)
    suffixes = {Path(name).suffix for name in names if name.startswith("source_planetscale/")}
    assert suffixes <= {".py", ".pyi", ".json", ".proto", ".typed"}


def test_the_wheel_holds_all_of_the_connector(root: Path) -> None:
    (wheel,) = (root / "build" / "dist").glob("*.whl")
    package = ROOT / "source_planetscale"
    sources = {str(path.relative_to(ROOT)) for path in package.rglob("*") if path.suffix in {".py", ".json"}}
    assert sources <= set(zipfile.ZipFile(wheel).namelist())
