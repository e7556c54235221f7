"""How many cores a process may use."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Gives the number of whole cores that this process may use, at least 1.

    A container's limit of CPU does not show in the number of cores: it stands in its cgroup, see
    https://docs.kernel.org/admin-guide/cgroup-v2.html (`cpu.max`) and the quota of version 1.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:
        allowed = os.cpu_count() or 1
    return max(min(allowed, int(_quota(cgroup) or allowed)), 1)


def _quota(cgroup: Path) -> float | None:
    limits = [
        _numbers(cgroup / "cpu.max"),
        [*_numbers(cgroup / "cpu/cpu.cfs_quota_us"), *_numbers(cgroup / "cpu/cpu.cfs_period_us")],
    ]
    for limit in limits:
        if len(limit) == 2 and limit[0] > 0 and limit[1] > 0:
            return limit[0] / limit[1]
    return None


def _numbers(path: Path) -> list[int]:
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        # The file is not there, or there is no limit ("max").
        return []
