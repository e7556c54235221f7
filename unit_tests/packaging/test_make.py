from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from unit_tests.packaging.project import ROOT, text

NO_VENV = """#!/bin/sh
case "$*" in
*ensurepip* | "-m pip"*) exit 1 ;;
*) exec "{python}" "$@" ;;
esac
"""


def script(path: Path, content: str) -> Path:
    path.write_text(content)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_fitting_python_is_found() -> None:
    finished = run("tools/find_python.sh", PYTHON=sys.executable)
    assert finished.returncode == 0, finished.stderr
    assert Path(finished.stdout.strip()).exists()


def test_without_a_fitting_python_it_is_said_which_ones_fit_and_which_were_tried(tmp_path: Path) -> None:
    old = script(tmp_path / "old-python", "#!/bin/sh\nexit 1\n")
    finished = run("tools/find_python.sh", PYTHON=str(old))
    assert finished.returncode == 1
    assert "3.10, 3.11, 3.12 or 3.13" in finished.stderr
    assert str(old) in finished.stderr


def test_a_python_without_ensurepip_is_answered_with_the_package_to_install(tmp_path: Path) -> None:
    bare = script(tmp_path / "bare-python", NO_VENV.format(python=sys.executable))
    finished = run("tools/make_venv.sh", bare, tmp_path / "venv")
    assert finished.returncode == 1
    assert f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in finished.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_help_lists_every_command() -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    listed = set(re.findall(r"^make (\S+)", run("make", "help").stdout, re.MULTILINE))
    assert listed == targets


def test_continuous_integration_runs_the_readmes_test_command_and_demands_vitess() -> None:
    assert text(".ci/run").splitlines()[-1] == "REQUIRE_VITESS=1 make test"
    assert "make test" in text("README.md")


def test_the_commands_that_airbytes_ci_calls_exist() -> None:
    listing = run(Path(sys.executable).parent / "poe", "-C", ROOT, "--help").stdout
    called = {"install", "test-unit-tests", "test-integration-tests", "format-check", "lint-check"}
    assert called <= set(re.findall(r"^  ([a-z-]+)", listing, re.MULTILINE))
