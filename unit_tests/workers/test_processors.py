"""How many cores a process may use, as its cgroup tells it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.workers.processors import usable_cores

CORES = 8
QUOTA, PERIOD = "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(CORES)), raising=False)


def cgroup(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("200000 100000\n", 2),
        ("350000 100000\n", 3),
        ("150000 100000\n", 1),
        ("50000 100000\n", 1),
        ("1 100000\n", 1),
        ("1600000 100000\n", CORES),
        ("max 100000\n", CORES),
    ],
)
def test_a_limit_of_version_2_counts_in_whole_cores(tmp_path: Path, text: str, cores: int) -> None:
    assert usable_cores(cgroup(tmp_path, {"cpu.max": text})) == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [
        ("300000\n", "100000\n", 3),
        ("250000\n", "100000\n", 2),
        ("20000\n", "100000\n", 1),
        ("900000\n", "100000\n", CORES),
        ("-1\n", "100000\n", CORES),
    ],
)
def test_a_limit_of_version_1_counts_in_whole_cores(
    tmp_path: Path, quota: str, period: str, cores: int
) -> None:
    assert usable_cores(cgroup(tmp_path, {QUOTA: quota, PERIOD: period})) == cores


def test_a_limit_of_version_1_counts_beside_a_version_2_without_one(tmp_path: Path) -> None:
    files = {"cpu.max": "max 100000\n", QUOTA: "300000\n", PERIOD: "100000\n"}
    assert usable_cores(cgroup(tmp_path, files)) == 3


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": ""},
        {"cpu.max": "200000"},
        {"cpu.max": "many 100000"},
        {"cpu.max": "200000 100000 1"},
        {"cpu.max": "200000 0"},
        {"cpu.max": "0 100000"},
        {"cpu.max": "-200000 -100000"},
        {QUOTA: "200000"},
        {PERIOD: "100000"},
        {QUOTA: "200000", PERIOD: "0"},
        {QUOTA: "few", PERIOD: "100000"},
    ],
)
def test_what_tells_no_limit_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    assert usable_cores(cgroup(tmp_path, files)) == CORES


def test_what_cannot_be_read_is_no_limit(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_bytes(b"\xff\xfe 100000")
    (tmp_path / QUOTA).mkdir(parents=True)
    assert usable_cores(tmp_path) == CORES
    assert usable_cores(tmp_path / "missing") == CORES


@given(st.integers(-1, 10_000_000), st.integers(0, 1_000_000))
def test_there_is_never_less_than_one_core_nor_more_than_the_process_may_run_on(
    quota: int, period: int
) -> None:
    expected = max(1, min(CORES, quota // period)) if quota > 0 and period > 0 else CORES
    with tempfile.TemporaryDirectory() as folder:
        assert usable_cores(cgroup(Path(folder), {"cpu.max": f"{quota} {period}"})) == expected


@pytest.mark.parametrize(("there", "cores"), [(6, 6), (None, 1)])
def test_all_cores_count_where_a_process_is_not_tied_to_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: int | None, cores: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: there)
    assert usable_cores(tmp_path) == cores
