"""The results as a table for people, in a terminal and in the docs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.sections import Line, Size

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "performance.svg"
_MARKS = {None: "", True: "yes", False: "**no**"}


def table(lines: Sequence[Line]) -> str:
    """A Markdown table."""
    rows = [f"| {line.what} | {line.figures} | {line.goal} | {_MARKS[line.met]} |" for line in lines]
    return "\n".join(["| what | measured | goal | met |", "| :--- | :--- | :--- | :--- |", *rows])


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


def write_page(sections: dict[str, str]) -> None:
    """Replaces the generated parts of the page, each between two comments with its name."""
    page = PAGE.read_text(encoding="utf-8")
    for name, content in sections.items():
        begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        page = pattern.sub(lambda _, text=f"{begin}\n{content}\n{end}": text, page)  # type: ignore[misc]  # bound now
    PAGE.write_text(page, encoding="utf-8")


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
