"""Runs every check and test, then says what passed, what failed and what could not run."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "reports"

# Where the tools of this environment are.
BIN = Path(sys.executable).parent

# Each check's commands, of which the first one that fails ends it.
LINT: dict[str, list[list[str]]] = {
    "ruff check": [["ruff", "check", "."]],
    "ruff format": [["ruff", "format", "--check", "."]],
    "mypy --strict": [["mypy"]],
    "imports": [["lint-imports"]],
    "dependencies": [
        ["deptry", "source_planetscale"],
        # The tests may import what is declared for them (DEP004), and need not use all of it (DEP002).
        ["deptry", ".", "--ignore", "DEP002,DEP004"],
    ],
    "dead code": [["vulture"]],
    "pages": [["python", "-m", "tools.pages", "--check"]],
    "workflows": [["zizmor", "--offline", "--persona", "pedantic", ".github"]],
}
TESTS = {
    "unit tests": ["unit_tests"],
    "embedded database": ["embedded_database"],
    "integration tests": ["integration_tests"],
}
# Minutes on a cluster of many processes, or on another Vitess: asked for by name, as `make cluster` and `make
# older` do.
ON_REQUEST = {
    "cluster tests": ["cluster_tests"],
    "older Vitess": [
        "-m",
        "vitess",
        # Its replicas are more than Vitess before 23 can make of MySQL 9.
        "--ignore=integration_tests/faults/test_copy_taken_up_by_vtgate.py",
        "embedded_database/contract",
        *(
            f"integration_tests/{folder}"
            for folder in (
                "changes",
                "faults",
                "jobs",
                "protocol",
                "replica",
                "reshard",
                "schema",
                "sockets",
                "state",
                "values",
            )
        ),
    ],
}
# The tests under which the package's branch coverage is measured.
MEASURED = "unit tests"
# The others wait for servers most of the time: two files at once, each process with databases of its own.
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]


@dataclass
class Result:
    """What one check did.

    Attributes:
        name: As shown to the reader.
        passed: Whether the check's own exit code was 0.
        seconds: Wall time.
        detail: Counts of tests, or empty.
        skipped: Reason of each skip, with the number of tests it kept from running.
    """

    name: str
    passed: bool
    seconds: float
    detail: str = ""
    skipped: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Runs the checks named on the command line, all of them by default.

    Returns:
        The exit code: 0 when every check passed.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="*", choices=[*LINT, *TESTS, *ON_REQUEST, []])
    parser.add_argument("--lint", action="store_true", help="the static checks alone")
    options = parser.parse_args()
    chosen = options.checks or ([*LINT] if options.lint else [*LINT, *TESTS])

    results = [run_lint(name) if name in LINT else run_tests(name) for name in chosen]
    missing = forbidden_skips(results)
    print(summary(results, missing), flush=True)
    return 0 if all(result.passed for result in results) and not missing else 1


def run_lint(name: str) -> Result:
    """Runs the commands of one of the static checks."""
    commands: list[list[str | Path]] = [[BIN / tool, *arguments] for tool, *arguments in LINT[name]]
    code, seconds = run(name, *commands)
    return Result(name, code == 0, seconds)


def run_tests(name: str) -> Result:
    """Runs one set of tests, holds its coverage to the floor, and reads the counts from its report."""
    report = REPORTS / f"{name.split()[0]}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    pytest = ["-m", "pytest", *{**TESTS, **ON_REQUEST}[name], f"--junitxml={report}"]
    if name == MEASURED:
        coverage = BIN / "coverage"
        code, seconds = run(name, [coverage, "run", *pytest], [coverage, "report"])
    else:
        code, seconds = run(name, [sys.executable, *pytest, *SIDE_BY_SIDE])
    result = Result(name, code == 0, seconds)
    if report.exists():
        read_report(report, result)
    return result


def run(name: str, *commands: list[str | Path]) -> tuple[int, float]:
    """Runs commands in the project's directory until one fails, their output passed through.

    Returns:
        The exit code of the last one that ran, and the wall time of all of them.
    """
    print(f"\n=== {name}", flush=True)
    started = time.monotonic()
    code = 0
    for command in commands:
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            break
    return code, time.monotonic() - started


def read_report(report: Path, result: Result) -> None:
    """Fills in the counts and the reasons of skips from a JUnit report of pytest."""
    # The report was written a moment ago by pytest, so the plain parser is safe.
    suites = ET.parse(report).getroot()  # noqa: S314
    total = failed = 0
    for case in suites.iter("testcase"):
        total += 1
        failed += case.find("failure") is not None or case.find("error") is not None
        skip = case.find("skipped")
        if skip is not None and skip.get("type") != "pytest.xfail":
            result.skipped[skip.get("message") or "no reason given"] += 1
    skipped = sum(result.skipped.values())
    result.detail = f"{total - failed - skipped} passed, {failed} failed, {skipped} not run"


def forbidden_skips(results: list[Result]) -> list[str]:
    """Names the skips that REQUIRE_VITESS=1 makes failures."""
    if os.environ.get("REQUIRE_VITESS") != "1":
        return []
    reasons = {reason for result in results for reason in result.skipped}
    return sorted(reason for reason in reasons if "vitess" in reason.lower())


def summary(results: list[Result], missing: list[str]) -> str:
    """Draws the closing table.

    Args:
        results: Of every check, in the order they ran.
        missing: Skips that count as failures.

    Returns:
        Text of several lines: a line per check, then what could not run and why.
    """
    lines = ["", "=" * 72]
    for result in results:
        verdict = "ok    " if result.passed else "FAILED"
        lines.append(f"{verdict}  {result.name:<18} {result.seconds:6.1f} s  {result.detail}")
    skipped: Counter[str] = sum((result.skipped for result in results), Counter())
    lines.append("")
    if skipped:
        lines.append("Not run:")
        lines += [f"  {count:4d} tests: {reason}" for reason, count in skipped.most_common()]
    else:
        lines.append("No test was skipped.")
    lines += [f"FAILED  REQUIRE_VITESS=1 forbids this skip: {reason}" for reason in missing]
    lines.append("=" * 72)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
