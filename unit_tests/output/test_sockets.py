"""The sockets themselves: made, waited for, written to, and lost."""

from __future__ import annotations

import socket
import stat
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from source_planetscale.errors import ConfigError, TransientError
from source_planetscale.output import sockets as module
from source_planetscale.output.sockets import Sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 30.0
# More than a socket holds that nobody reads.
MUCH = b"x" * (4 << 20)


@pytest.fixture
def interrupted() -> threading.Event:
    return threading.Event()


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [tmp_path / "1.sock", tmp_path / "2.sock"]


@pytest.fixture
def sockets(paths: list[Path], interrupted: threading.Event) -> Iterator[Sockets]:
    made = Sockets(paths, interrupted)
    yield made
    made.close()


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(DEADLINE)
    client.connect(str(path))
    return client


def everything(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_every_socket_takes_a_client_before_any_is_accepted(sockets: Sockets, paths: list[Path]) -> None:
    clients = [connect(path) for path in reversed(paths)]
    sockets.accept()
    sockets.send(0, b"first")
    sockets.send(1, b"second")
    sockets.close()
    assert [everything(client) for client in clients] == [b"second", b"first"]
    for client in clients:
        client.close()


def test_everyone_may_connect_and_nothing_else_is_left_in_the_folder(
    sockets: Sockets, paths: list[Path], tmp_path: Path
) -> None:
    assert sorted(tmp_path.iterdir()) == paths
    assert len(sockets) == 2
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o666 for path in paths)


@pytest.mark.parametrize("name", ["1", ".hidden", "x" * 90])
def test_any_name_of_a_socket_will_do(name: str, interrupted: threading.Event) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        path = Path(directory) / name[: 107 - len(directory) - 1]
        sockets = Sockets([path], interrupted)
        client = connect(path)
        sockets.accept()
        sockets.send(0, b"sent")
        sockets.close()
        assert everything(client) == b"sent"
        assert list(path.parent.iterdir()) in ([], [path])
        client.close()


def test_what_an_earlier_read_left_is_replaced(paths: list[Path], interrupted: threading.Event) -> None:
    for path in paths:
        path.write_text("left")
    sockets = Sockets(paths, interrupted)
    with connect(paths[0]), connect(paths[1]):
        sockets.accept()
    sockets.close()
    assert not any(path.exists() for path in paths)


def test_a_socket_that_cannot_be_made_is_named_and_the_others_go(
    paths: list[Path], interrupted: threading.Event, tmp_path: Path
) -> None:
    missing = tmp_path / "missing" / "3.sock"
    with pytest.raises(ConfigError, match=f"{missing} of the data channel cannot be made: No such file"):
        Sockets([*paths, missing], interrupted)
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_does_not_come_is_a_passing_error(sockets: Sockets, paths: list[Path]) -> None:
    with connect(paths[1]), pytest.raises(TransientError, match="connected to 1 of the 2 sockets"):
        sockets.accept(seconds=0)


def test_a_read_that_is_told_to_stop_waits_for_no_client(
    sockets: Sockets, interrupted: threading.Event
) -> None:
    interrupted.set()
    with pytest.raises(TransientError, match="before the destination had connected"):
        sockets.accept()


def test_a_write_waits_until_all_of_it_is_on_its_way(sockets: Sockets, paths: list[Path]) -> None:
    clients = [connect(path) for path in paths]
    sockets.accept()
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(everything(clients[0])))
    reader.start()
    sockets.send(0, MUCH)
    sockets.close()
    reader.join(DEADLINE)
    assert received == [MUCH]
    for client in clients:
        client.close()


def test_a_socket_that_is_full_is_passed_over(
    sockets: Sockets, paths: list[Path], interrupted: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [connect(path) for path in paths]
    sockets.accept()
    assert [sockets.free() for _ in range(4)] == [0, 1, 0, 1]
    monkeypatch.setattr(module, "_LAST_WORDS_SECONDS", 0)
    interrupted.set()
    with pytest.raises(TransientError, match="not reading"):
        sockets.send(0, MUCH)
    assert [sockets.free() for _ in range(3)] == [1, 1, 1]
    for client in clients:
        client.close()


def test_a_client_that_is_lost_is_noticed_without_a_write(
    sockets: Sockets, paths: list[Path], interrupted: threading.Event
) -> None:
    clients = [connect(path) for path in paths]
    sockets.accept()
    sockets.raise_if_lost()
    clients[1].close()
    assert interrupted.wait(DEADLINE)
    with pytest.raises(TransientError, match="has closed the data channel"):
        sockets.raise_if_lost()
    with pytest.raises(TransientError, match="has closed the data channel"):
        sockets.send(0, b"to the one that is still there")
    clients[0].close()


def test_the_loss_of_one_client_ends_the_wait_for_another(
    sockets: Sockets, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_WORDS_SECONDS", 0)
    clients = [connect(path) for path in paths]
    sockets.accept()
    failures: list[Exception] = []

    def write() -> None:
        try:
            sockets.send(0, MUCH)
        except TransientError as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    clients[1].close()
    writer.join(DEADLINE)
    assert len(failures) == 1
    clients[0].close()
