"""A worker as a process: what it runs, and tasks that it cannot take."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from source_planetscale.records.jsonl import JsonLines
from source_planetscale.workers import process
from source_planetscale.workers.crew import Crew
from source_planetscale.workers.link import Link, LinkClosedError, mapped, new_memory
from source_planetscale.workers.messages import Failed
from source_planetscale.workers.process import Worker
from unit_tests.support.fakes import DEADLINE

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator
    from pathlib import Path


def nobody(_link: Link, _slot: int) -> None:
    """No slot is used."""


def handed_to(control: socket.socket) -> Link:
    """The connector's end of a task that a worker is given."""
    ours, theirs = socket.socketpair()
    memory = new_memory()
    with theirs:
        socket.send_fds(control, [b"\0"], [theirs.fileno(), memory])
    return Link(ours, mapped(memory), nobody)


@pytest.fixture
def control() -> Iterator[socket.socket]:
    """The connector's end of a worker."""
    ours, theirs = socket.socketpair()
    working = threading.Thread(target=Worker(theirs).run, daemon=True)
    with theirs:
        working.start()
        with ours:
            yield ours
        working.join(DEADLINE)
        assert not working.is_alive()


def test_a_worker_runs_nothing_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pickle", "source_planetscale", "runpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    with closing(Crew(JsonLines(), 1)) as crew:
        engagement = crew.engage()
        assert engagement is not None
        with engagement.link as link:
            link.send("no order")
            assert isinstance(link.receive().message, Failed)


def test_a_task_for_which_there_is_no_room_is_refused_and_the_next_one_is_taken(
    control: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[int] = []

    def mapped_once(descriptor: int) -> mmap.mmap:
        if not refused:
            refused.append(descriptor)
            os.close(descriptor)
            raise OSError
        return mapped(descriptor)

    monkeypatch.setattr(process, "mapped", mapped_once)
    with handed_to(control) as first:
        with pytest.raises(LinkClosedError):
            first.receive()
        with handed_to(control) as second:
            second.send("no order")
            assert isinstance(second.receive().message, Failed)


def test_a_task_whose_descriptors_were_lost_on_the_way_is_refused(
    control: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_DESCRIPTORS", 3)
    with handed_to(control) as link, pytest.raises(LinkClosedError):
        link.receive()


def test_a_task_for_which_there_is_no_thread_is_refused(
    control: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_job: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("source_planetscale.workers.job.Job.start", no_thread)
    with handed_to(control) as link, pytest.raises(LinkClosedError):
        link.receive()
