"""The workers of a sync: how many there may be, which one takes a task, and how they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.errors import ConfigError
from source_planetscale.records.jsonl import JsonLines
from source_planetscale.workers.crew import PROCESSES, Crew, Engagement, crew_of
from source_planetscale.workers.link import SLOTS, Link, LinkClosedError, mapped, new_memory
from source_planetscale.workers.messages import Freed
from unit_tests.support.fakes import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORM = JsonLines()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Hired:
    """A crew, and the tasks that it was given: they end with it."""

    def __init__(self, processes: int) -> None:
        self.crew = Crew(FORM, processes)
        self._links: list[Link] = []

    def engage(self) -> Engagement:
        engagement = self.crew.engage()
        assert engagement is not None
        self._links.append(engagement.link)
        return engagement

    def close(self) -> None:
        self.crew.close()
        for link in self._links:
            link.close()


@contextmanager
def linked_to(process: subprocess.Popen[bytes]) -> Iterator[Engagement]:
    """An engagement of any process."""
    one, other = socket.socketpair()
    with process, other, Link(one, mapped(new_memory()), lambda _link, _slot: None) as link:
        try:
            yield Engagement(link, "w1", process)
        finally:
            process.kill()


# Whether there are any.


@pytest.mark.parametrize("asked", ["", "0", "3", "nonsense"])
def test_records_that_go_to_stdout_need_no_workers(asked: str) -> None:
    assert crew_of({PROCESSES: asked}, None) is None


def test_no_processes_are_no_crew() -> None:
    assert crew_of({PROCESSES: "0"}, FORM) is None


@pytest.mark.parametrize(("asked", "processes"), [("1", 1), (" 3 ", 3), ("12", 12)])
def test_workers_that_are_asked_for_take_every_task(asked: str, processes: int) -> None:
    crew = crew_of({PROCESSES: asked}, FORM)
    assert crew is not None
    assert (crew.form, crew.takes_all, crew._processes) == (FORM, True, processes)


@pytest.mark.parametrize("asked", ["many", "-1", "1.5", "2 3", "0x2", "²"])
def test_a_number_of_processes_that_is_none_is_a_mistake_of_the_user(asked: str) -> None:
    with pytest.raises(ConfigError, match=PROCESSES):
        crew_of({PROCESSES: asked}, FORM)


@given(st.text(min_size=1).filter(lambda text: text.strip() and not text.strip().isdecimal()))
def test_any_text_that_is_no_number_is_a_mistake_of_the_user(text: str) -> None:
    with pytest.raises(ConfigError, match=PROCESSES):
        crew_of({PROCESSES: text}, FORM)


@pytest.mark.parametrize("environment", [{}, {PROCESSES: ""}, {PROCESSES: "  "}])
@pytest.mark.parametrize(("cores", "processes"), [(2, 2), (3, 3), (4, 4), (64, 4)])
def test_several_cores_have_a_crew_for_large_tasks(
    environment: dict[str, str], cores: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_planetscale.workers.crew.usable_cores", lambda: cores)
    crew = crew_of(environment, FORM)
    assert crew is not None
    assert (crew.form, crew.takes_all, crew._processes) == (FORM, False, processes)


def test_one_core_has_no_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_planetscale.workers.crew.usable_cores", lambda: 1)
    assert crew_of({}, FORM) is None


def test_a_system_without_memory_to_share_has_no_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    assert crew_of({PROCESSES: "2"}, FORM) is None


# Who takes a task.


def test_a_task_goes_to_the_worker_with_the_fewest() -> None:
    with closing(Hired(2)) as hired:
        one, two, three, four = (hired.engage() for _ in range(4))
        assert one.pid != two.pid
        assert [three.pid, four.pid] == [one.pid, two.pid]
        two.link.close()
        assert hired.engage().pid == two.pid
        one.link.close()
        three.link.close()
        assert [hired.engage().pid for _ in range(2)] == [one.pid, one.pid]


def test_a_worker_without_a_task_takes_one_before_another_is_started() -> None:
    with closing(Hired(2)) as hired:
        one = hired.engage()
        one.link.close()
        assert hired.engage().pid == one.pid


def test_no_more_workers_are_started_than_there_may_be_and_none_before_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []

    class Counted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            started.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Counted)
    with closing(Hired(2)) as hired:
        assert started == []
        engagements = [hired.engage() for _ in range(7)]
        assert {engagement.pid for engagement in engagements} == set(started)
        assert len(started) == 2
    names = [engagement.name for engagement in engagements]
    assert len(set(names)) == len(names)


def test_a_dead_worker_is_replaced() -> None:
    with closing(Hired(2)) as hired:
        victim, other = hired.engage(), hired.engage()
        os.kill(victim.pid, signal.SIGKILL)
        with pytest.raises(LinkClosedError):
            victim.link.receive()
        assert victim.end() == "has ended by signal 9"
        third = hired.engage()
        assert third.pid not in (victim.pid, other.pid)
        assert hired.engage().pid in (third.pid, other.pid)
        third.link.send("is there")


def test_all_workers_may_die() -> None:
    with closing(Hired(1)) as hired:
        pids = set()
        for _ in range(3):
            engagement = hired.engage()
            pids.add(engagement.pid)
            os.kill(engagement.pid, signal.SIGKILL)
            assert engagement.end() == "has ended by signal 9"
        assert len(pids) == 3


def test_a_worker_that_cannot_be_started_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with closing(Hired(2)) as hired:
        before = descriptors()
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", refuse)
            assert hired.crew.engage() is None
        assert descriptors() == before
        # The next task tries again.
        assert hired.engage().name == "w1"


def test_memory_that_cannot_be_had_is_no_engagement(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> int:
        raise OSError(24, "Too many open files")

    with closing(Hired(1)) as hired:
        monkeypatch.setattr(os, "memfd_create", refuse)
        assert hired.crew.engage() is None


def test_a_task_that_cannot_be_handed_over_is_no_engagement(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    with closing(Hired(1)) as hired:
        hired.engage()
        before = descriptors()
        with monkeypatch.context() as patch:
            patch.setattr(socket, "send_fds", refuse)
            assert hired.crew.engage() is None
        assert descriptors() == before
        assert hired.engage().name == "w2"


def test_a_worker_is_told_that_rows_may_be_written_over_as_long_as_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[Link] = []

    def keep(_control: socket.socket, _message: list[bytes], fds: list[int]) -> int:
        end, memory = map(os.dup, fds)
        ends.append(Link(socket.socket(fileno=end), mapped(memory), lambda _link, _slot: None))
        return 1

    monkeypatch.setattr(socket, "send_fds", keep)
    with closing(Hired(1)) as hired:
        engagement = hired.engage()
        with ends[0] as worker:
            for slot in range(SLOTS):
                worker.send("rows", b"%d" % slot, slot)
            received = [engagement.link.receive() for _ in range(SLOTS)]
            assert [bytes(each.rows) for each in received] == [b"%d" % slot for slot in range(SLOTS)]
            received[1].free()
            assert worker.receive().message == Freed(1)
        received[0].free()


# The end.


def test_no_worker_is_left_and_none_is_had_when_the_crew_is_closed() -> None:
    before = descriptors()
    hired = Hired(2)
    engagements = [hired.engage() for _ in range(3)]
    hired.crew.close()
    assert all(is_gone(engagement.pid) for engagement in engagements)
    # They ended by themselves.
    assert {engagement.end() for engagement in engagements} == {"has ended with exit code 0"}
    assert hired.crew.engage() is None
    for engagement in engagements:
        with pytest.raises(LinkClosedError):
            engagement.link.receive()
    hired.close()
    del engagement, engagements, hired
    assert descriptors() == before


def test_a_crew_that_did_nothing_gives_nothing_once_it_is_closed() -> None:
    crew = Crew(FORM, 2)
    crew.close()
    assert crew.engage() is None


def test_a_worker_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_planetscale.workers.crew._END_SECONDS", 0.05)
    with closing(Hired(1)) as hired:
        engagement = hired.engage()
        os.kill(engagement.pid, signal.SIGSTOP)
        hired.crew.close()
        assert is_gone(engagement.pid)
        assert engagement.end() == "has ended by signal 9"
        with pytest.raises(LinkClosedError):
            engagement.link.receive()


def test_a_task_that_is_ended_leaves_its_worker_to_others() -> None:
    with closing(Hired(1)) as hired:
        one, two = hired.engage(), hired.engage()
        one.link.close()
        three = hired.engage()
        assert {one.pid, two.pid, three.pid} == {one.pid}
        three.link.send("is there")
        assert not is_gone(two.pid)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("", "has ended with exit code 0"),
        ("raise SystemExit(3)", "has ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "has ended by signal 9"),
        ("import os; os.kill(os.getpid(), 15)", "has ended by signal 15"),
    ],
)
def test_the_end_of_a_worker_is_told_by_its_exit_code_or_its_signal(program: str, words: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", program])
    process.wait(DEADLINE)
    with linked_to(process) as engagement:
        assert engagement.end() == words


def test_a_worker_that_has_closed_its_link_and_goes_on_has_left_its_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("source_planetscale.workers.crew._EXIT_SECONDS", 0.05)
    with linked_to(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)) as engagement:
        assert engagement.end() == "has left it"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_worker_that_works_leaves_signals_to_the_one_that_started_it(number: signal.Signals) -> None:
    def ignored() -> int:
        status = Path(f"/proc/{engagement.pid}/status").read_text()
        return int(status.partition("SigIgn:")[2].split()[0], 16)

    with closing(Hired(1)) as hired:
        engagement = hired.engage()
        assert eventually(lambda: bool(ignored() >> (number - 1) & 1))
        os.kill(engagement.pid, number)
        assert hired.engage().pid == engagement.pid
        hired.crew.close()
        assert engagement.end() == "has ended with exit code 0"
