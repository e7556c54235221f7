from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tools.run_checks import Result, forbidden_skips, read_report, run, summary

if TYPE_CHECKING:
    from pathlib import Path

REPORT = """<testsuites><testsuite>
<testcase name="a"/>
<testcase name="b"><failure message="no"/></testcase>
<testcase name="c"><error message="no"/></testcase>
<testcase name="d"><skipped type="pytest.skip" message="no Vitess: Go is missing"/></testcase>
<testcase name="e"><skipped type="pytest.skip" message="no Vitess: Go is missing"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def result(tmp_path: Path) -> Result:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    result = Result("unit tests", passed=False, seconds=1.0)
    read_report(report, result)
    return result


def test_a_report_gives_the_counts_and_the_reasons_of_skips(result: Result) -> None:
    assert result.detail == "1 passed, 2 failed, 2 not run"
    assert result.skipped == Counter({"no Vitess: Go is missing": 2})


def test_the_summary_says_what_failed_and_what_was_not_run(result: Result) -> None:
    text = summary([result, Result("ruff check", passed=True, seconds=0.5)], [])
    assert "FAILED  unit tests" in text
    assert "ok      ruff check" in text
    assert "2 tests: no Vitess: Go is missing" in text


def test_a_missing_vitess_is_a_failure_where_it_is_demanded(
    result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUIRE_VITESS", raising=False)
    assert forbidden_skips([result]) == []
    monkeypatch.setenv("REQUIRE_VITESS", "1")
    assert forbidden_skips([result]) == ["no Vitess: Go is missing"]


def test_a_check_ends_with_the_first_of_its_commands_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    commands: list[list[str | Path]] = [
        [sys.executable, "-c", f"print('said', {code}); exit({code})"] for code in (0, 3, 0)
    ]
    code, _ = run("several", *commands)
    assert code == 3
    assert capfd.readouterr().out.split() == ["===", "several", "said", "0", "said", "3"]
