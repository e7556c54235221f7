"""The command in this process: what it makes of stdout, of signals and of the platform's variables."""

from __future__ import annotations

import ctypes
import io
import json
import logging
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale import run as module
from source_planetscale.output.stdout import Stdout
from source_planetscale.run import run
from unit_tests.support.events import SHARD, gtid, row, small_copy
from unit_tests.support.fakes import SILENCE, FakeDatabase, FakeVtgate, stand_in
from unit_tests.support.files import arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 30.0
ENDED = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back what the command sets for its whole process."""
    for name in ("excepthook", "stdout", "__stdout__"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    kept = {number: signal.getsignal(number) for number in ENDED}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


class Pipe:
    """A stdout of the process whose other end is here.

    Attributes:
        writer: Its descriptor.
        reader: The descriptor of the other end.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, buffered: bool) -> None:
        self.reader, self.writer = os.pipe()
        raw = io.FileIO(self.writer, "w")
        self._text = io.TextIOWrapper(io.BufferedWriter(raw) if buffered else raw, write_through=not buffered)
        monkeypatch.setattr(sys, "stdout", self._text)
        monkeypatch.setattr(sys, "__stdout__", self._text)

    def hang_up(self) -> None:
        os.close(self.reader)
        self.reader = -1

    def close(self) -> None:
        self._text.close()
        if self.reader >= 0:
            os.close(self.reader)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pipe]]:
    made: list[Pipe] = []

    def make(*, buffered: bool) -> Pipe:
        made.append(Pipe(monkeypatch, buffered=buffered))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The arguments that name a configuration and a catalog."""
    return arguments(tmp_path)


def serve(monkeypatch: pytest.MonkeyPatch, vtgate: FakeVtgate) -> None:
    stand_in(vtgate, FakeDatabase(), monkeypatch.setattr)


def written(capsys: pytest.CaptureFixture[bytes], *kinds: str) -> list[dict[str, Any]]:
    """The messages of these types."""
    messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [message for message in messages if message["type"] in kinds]


@pytest.mark.usefixtures("_in_no_time")
def test_a_state_tells_how_many_records_a_batch_held(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows = small_copy(*(row(key, "one", "x") for key in range(3)))
    serve(monkeypatch, FakeVtgate({SHARD: [rows]}))
    run(["read", *files])
    messages = written(capsysbinary, "RECORD", "STATE")
    assert [message["type"] for message in messages] == ["RECORD"] * 3 + ["STATE"]
    assert messages[-1]["state"]["sourceStats"]["recordCount"] == 3


@pytest.mark.usefixtures("_in_no_time")
def test_a_read_goes_over_the_sockets_that_the_platform_names(
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
    tmp_path: Path,
) -> None:
    path = tmp_path / "1.sock"
    monkeypatch.setenv("DATA_CHANNEL_MEDIUM", "SOCKET")
    monkeypatch.setenv("DATA_CHANNEL_SOCKET_PATHS", str(path))
    serve(monkeypatch, FakeVtgate({SHARD: [small_copy(row(1, "one", "x"))]}))
    received: list[bytes] = []
    destination = threading.Thread(target=lambda: received.append(everything(path)))
    destination.start()
    run(["read", *files])
    destination.join(SECONDS)
    kinds = [json.loads(line)["type"] for line in received[0].splitlines()]
    assert kinds == ["RECORD", "STATE", "TRACE"]
    assert [message["type"] for message in written(capsysbinary, "RECORD", "STATE")] == ["STATE"]


def everything(path: Path) -> bytes:
    """What comes over a socket, once it is there."""
    data, pause = b"", threading.Event()
    for _ in range(int(SECONDS / 0.005)):
        if path.exists():
            break
        pause.wait(0.005)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SECONDS)
        client.connect(str(path))
        while part := client.recv(1 << 16):
            data += part
    return data


def test_the_platforms_variables_mean_the_read_alone(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    path = tmp_path / "missing" / "1.sock"
    monkeypatch.setenv("DATA_CHANNEL_MEDIUM", "SOCKET")
    monkeypatch.setenv("DATA_CHANNEL_SOCKET_PATHS", str(path))
    run(["spec"])
    assert len(written(capsysbinary, "SPEC")) == 1


def test_sockets_that_cannot_be_made_end_the_read_as_a_configuration_error(
    files: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATA_CHANNEL_MEDIUM", "SOCKET")
    monkeypatch.setenv("DATA_CHANNEL_SOCKET_PATHS", str(tmp_path / "missing" / "1.sock"))
    with pytest.raises(AirbyteTracedException, match="of the data channel cannot be made") as caught:
        run(["read", *files])
    assert caught.value.failure_type is FailureType.config_error


def test_a_check_of_a_bad_configuration_says_what_is_wrong_with_it(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"host": 5, "database": "shop"}')
    run(["check", "--config", str(path)])
    (status,) = written(capsysbinary, "CONNECTION_STATUS")
    assert status["connectionStatus"]["status"] == "FAILED"
    assert "host" in status["connectionStatus"]["message"]


def test_a_read_with_a_bad_configuration_ends_with_the_error(tmp_path: Path, files: list[str]) -> None:
    missing = str(tmp_path / "missing.json")
    with pytest.raises(AirbyteTracedException, match="cannot be read") as caught:
        run(["read", "--config", missing, *files[2:]])
    assert caught.value.failure_type is FailureType.config_error


def test_a_check_that_fails_in_an_unknown_way_is_no_status(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    broken = AirbyteTracedException(message="broken", failure_type=FailureType.system_error)

    def fail(*_: object) -> None:
        raise broken

    monkeypatch.setattr("source_planetscale.check.check", fail)
    with pytest.raises(AirbyteTracedException) as caught:
        run(["check", *files[:2]])
    assert caught.value is broken
    assert written(capsysbinary, "CONNECTION_STATUS") == []


@pytest.mark.usefixtures("_in_no_time")
@pytest.mark.parametrize("number", ENDED)
def test_a_signal_ends_a_read_after_its_state_and_with_its_exit_code(
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
    number: signal.Signals,
) -> None:
    write = Stdout.write

    def told_to_stop(stdout: Stdout, lines: bytes) -> None:
        write(stdout, lines)
        if b'"RECORD"' in lines:
            signal.raise_signal(number)

    monkeypatch.setattr(Stdout, "write", told_to_stop)
    copied = small_copy(row(1, "one", "x"), last=1)
    serve(monkeypatch, FakeVtgate({SHARD: [[*copied, SILENCE]]}, current=gtid(9)))
    with pytest.raises(SystemExit) as ended:
        run(["read", *files])
    assert ended.value.code == 128 + number
    first, *later = (message["type"] for message in written(capsysbinary, "RECORD", "STATE"))
    assert (first, set(later)) == ("RECORD", {"STATE"})


@pytest.mark.parametrize("number", ENDED)
def test_the_second_signal_ends_the_process_at_once(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    interrupted = threading.Event()
    signals = module._Signals(interrupted, graceful=True)
    assert not signals.received
    signal.raise_signal(signal.SIGTERM)
    assert (signals.received, interrupted.is_set(), codes) == (signal.SIGTERM, True, [])
    signal.raise_signal(number)
    assert codes == [128 + number]


def test_signals_end_what_is_no_read_by_themselves(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    run(["spec"])
    assert [signal.getsignal(number) for number in ENDED] == [signal.SIG_DFL] * 2
    assert len(written(capsysbinary, "SPEC")) == 1


def test_a_stdout_without_buffer_gets_one(pipe: Callable[..., Pipe]) -> None:
    raw = pipe(buffered=False)
    assert isinstance(sys.stdout.buffer, io.RawIOBase)
    run(["spec"])
    assert isinstance(sys.stdout.buffer, io.BufferedWriter)
    # The descriptor is still the process's own.
    sys.stdout.close()
    assert sys.__stdout__ is sys.stdout
    os.write(raw.writer, b"more")
    *_, spec, more = os.read(raw.reader, 1 << 20).splitlines()
    assert (json.loads(spec)["type"], more) == ("SPEC", b"more")


def test_a_stdout_that_nobody_reads_ends_the_command_without_a_word(
    pipe: Callable[..., Pipe], capfd: pytest.CaptureFixture[str]
) -> None:
    pipe(buffered=True).hang_up()
    with pytest.raises(SystemExit) as ended:
        run(["spec"])
    assert ended.value.code == 128 + signal.SIGPIPE
    # As the interpreter does at its exit.
    sys.stdout.flush()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("libc", [object(), OSError()], ids=["another C library", "none"])
def test_a_machine_without_glibc_does_without_its_heap(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], libc: object
) -> None:
    def load(_name: object) -> object:
        if isinstance(libc, OSError):
            raise libc
        return libc

    monkeypatch.setattr(ctypes, "CDLL", load)
    run(["spec"])
    assert len(written(capsysbinary, "SPEC")) == 1
