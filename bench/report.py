"""The results for people: what the docs show of them, and a plot."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tools.pages import MEASUREMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.terms import Line, Size

ROOT = Path(__file__).resolve().parents[1]
PLOT = ROOT / "docs" / "performance.svg"


def conditions(size: Size, load: Sequence[float]) -> str:
    """Where, when and on which commit it was measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    today = datetime.now(timezone.utc).date().isoformat()
    loads = " to ".join(f"{value:.1f}" for value in load)
    return (
        f"Measured on {today} at commit {commit.stdout.strip() or 'unknown'}: {_processor()}, "
        f"{os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.system()}, Python "
        f"{platform.python_version()}, Vitess and MySQL on the same cores; load average {loads} during the "
        f"run; {size.rows:,} rows, the best of {size.rounds} round(s)."
    )


def write_results(measured: str, lines: Sequence[Line], profile: str) -> None:
    """Writes what docs/performance.md shows.

    Args:
        measured: Where, when and on which commit.
        lines: The results.
        profile: Of the reading thread, in Markdown; the written one stays if it is empty.
    """
    kept = json.loads(MEASUREMENTS.read_text(encoding="utf-8"))["profile"]
    found = {
        "conditions": measured,
        "lines": [asdict(line) for line in lines],
        "profile": profile.splitlines() or kept,
    }
    MEASUREMENTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_plot(curves: dict[str, list[tuple[int, float, float]]]) -> bool:
    """Draws seconds over rows and over tables; False without matplotlib."""
    try:
        # Only for this plot, so not among the requirements.
        matplotlib = import_module("matplotlib")
    except ImportError:
        return False
    matplotlib.use("svg")
    pyplot = import_module("matplotlib.pyplot")

    figure, axes = pyplot.subplots(1, len(curves), figsize=(5 * len(curves), 3.5), squeeze=False)
    for axis, (name, points) in zip(axes[0], curves.items(), strict=True):
        amounts = [amount for amount, _, _ in points]
        axis.plot(amounts, [seconds for _, seconds, _ in points], "o-", label="wall")
        axis.plot(amounts, [cpu for _, _, cpu in points], "s--", label="CPU")
        axis.set(xlabel=name, ylabel="seconds after the imports", xlim=0, ylim=0)
        axis.legend()
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})
    return True


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    model = re.search(r"model name\s*: (.*)", text)
    return model[1] if model else platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
