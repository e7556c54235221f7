"""The command as a process: its exit codes, its end by a signal, and an output that nobody reads."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unit_tests.support.files import arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SECONDS = 60


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The arguments that name a configuration and a catalog."""
    return arguments(tmp_path)


def start(scenario: str, *args: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "unit_tests.support.standin", scenario, *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err.decode()


def messages(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def until(process: subprocess.Popen[bytes], kind: str) -> Iterator[dict[str, Any]]:
    """The messages up to the first of a type."""
    assert process.stdout is not None
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            message = json.loads(line)
            yield message
            if message["type"] == kind:
                return
    finally:
        watchdog.cancel()


def test_a_read_that_works_ends_with_zero(files: list[str]) -> None:
    code, out, err = finish(start("copy", "read", *files))
    assert (code, err) == (0, "")
    assert [message["type"] for message in messages(out) if message["type"] in ("RECORD", "STATE")] == [
        "RECORD",
        "STATE",
    ]


def test_a_read_whose_catalog_is_missing_ends_with_an_error_message(files: list[str]) -> None:
    code, out, _ = finish(start("copy", "read", *files[:2], "--catalog", "/nowhere.json"))
    errors = [message["trace"]["error"] for message in messages(out) if message["type"] == "TRACE"]
    assert code == 1
    assert errors[-1]["failure_type"] == "config_error"
    assert "/nowhere.json cannot be read" in errors[-1]["message"]


@pytest.mark.parametrize("content", [None, "{", '{"host": 5, "database": "shop"}'])
def test_a_check_of_a_bad_configuration_is_a_failed_status_and_ends_with_zero(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    code, out, _ = finish(start("copy", "check", "--config", str(path)))
    statuses = [message["connectionStatus"] for message in messages(out) if "connectionStatus" in message]
    assert (code, [status["status"] for status in statuses]) == (0, ["FAILED"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_read_that_is_told_to_stop_saves_what_it_read(files: list[str], number: signal.Signals) -> None:
    process = start("waiting", "read", *files)
    assert [message["type"] for message in until(process, "RECORD")][-1] == "RECORD"
    process.send_signal(number)
    code, out, _ = finish(process)
    assert code == 128 + number
    kinds = [message["type"] for message in messages(out)]
    assert "STATE" in kinds
    assert kinds.index("STATE") < kinds.index("TRACE")


def end_of_unread(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """The exit code and stderr of a process whose stdout is closed now."""
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    err = process.stderr.read()
    watchdog.cancel()
    return process.wait(SECONDS), err


def test_an_output_that_nobody_reads_ends_the_read_without_a_word(files: list[str]) -> None:
    with start("endless", "read", *files) as process:
        assert list(until(process, "RECORD"))
        assert end_of_unread(process) == (128 + signal.SIGPIPE, b"")


def test_log_lines_that_nobody_reads_end_the_command_without_a_word(files: list[str]) -> None:
    with start("copy", "read", *files) as process:
        assert end_of_unread(process) == (128 + signal.SIGPIPE, b"")


def test_the_spec_needs_no_module_that_connects() -> None:
    code = "import sys; from source_planetscale import run; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=SECONDS, text=True
    ).stdout.split()
    assert not {"grpc", "pymysql", "source_planetscale.sync.stream"} & set(loaded)


def test_a_configuration_without_tunnel_and_client_certificate_needs_neither_library() -> None:
    code = (
        "import sys; from source_planetscale import check, config;"
        " config.Config.parse({'host': 'h', 'database': 'd'}).reached().__enter__(); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=SECONDS, text=True
    ).stdout.split()
    assert not {"asyncssh", "cryptography", "source_planetscale.tunnel"} & set(loaded)
