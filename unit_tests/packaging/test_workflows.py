"""What holds for this project's workflows beyond what zizmor finds in any (`make lint`)."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pytest
import yaml

from unit_tests.packaging.project import ROOT, text

WORKFLOWS = sorted(path.name for path in (ROOT / ".github" / "workflows").glob("*.y*ml"))

USES = re.compile(r"^\s*(?:- )?uses:\s*(?P<action>[^.\s]\S*?)@(?P<ref>\S+)(?P<comment>.*)$", re.MULTILINE)


def source(workflow: str) -> str:
    return text(f".github/workflows/{workflow}")


def jobs(workflow: str) -> dict[str, dict[str, Any]]:
    parsed: dict[str, dict[str, Any]] = yaml.safe_load(source(workflow))["jobs"]
    return parsed


def unpinned(workflow_text: str) -> list[str]:
    return [
        match.group(0).strip()
        for match in USES.finditer(workflow_text)
        if not re.fullmatch(r"[0-9a-f]{40}", match["ref"])
        or not re.fullmatch(r" # v\d+\.\d+\.\d+", match["comment"])
    ]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_action_is_pinned_to_a_full_commit_with_its_version_in_a_comment(workflow: str) -> None:
    assert unpinned(source(workflow)) == []


@pytest.mark.parametrize(
    "line",
    [
        "- uses: actions/checkout@v7.0.1 # v7.0.1",
        "- uses: actions/checkout@3d3c42e # v7.0.1",
        "  uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
    ],
)
def test_a_tag_a_short_commit_and_a_missing_version_are_found(line: str) -> None:
    assert unpinned(line) == [line.strip()]


def test_an_action_has_one_version_in_all_workflows() -> None:
    pins = defaultdict(set)
    for workflow in WORKFLOWS:
        for match in USES.finditer(source(workflow)):
            pins[match["action"]].add((match["ref"], match["comment"]))
    assert pins
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}


def test_only_the_jobs_that_publish_may_write() -> None:
    writers = {
        (workflow, name, permission)
        for workflow in WORKFLOWS
        for name, job in jobs(workflow).items()
        for permission, access in job.get("permissions", {}).items()
        if access == "write"
    }
    assert writers == {
        ("codeql.yml", "analyze", "security-events"),
        ("release.yml", "pypi", "id-token"),
        ("release.yml", "image", "packages"),
        ("release.yml", "github", "contents"),
    }


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_job_that_runs_steps_has_a_time_limit(workflow: str) -> None:
    steps = {name: job for name, job in jobs(workflow).items() if "steps" in job}
    assert [name for name, job in steps.items() if "timeout-minutes" not in job] == []


def test_the_matrix_covers_every_supported_python() -> None:
    matrix = jobs("test.yml")["test"]["strategy"]["matrix"]["python"]
    assert matrix == ["3.10", "3.11", "3.12", "3.13"]
    assert 'python = ">=3.10,<3.14"' in text("pyproject.toml")


def test_nothing_is_published_before_every_check_and_test_has_passed() -> None:
    release = jobs("release.yml")
    assert release["test"]["uses"] == "./.github/workflows/test.yml"
    assert {"test", "qa"} <= needed(release, "pypi") & needed(release, "image") & needed(release, "github")
    assert {"lint", "test", "vitess", "audit"} <= jobs("test.yml").keys()
    assert "bash .ci/run" in [step.get("run") for step in jobs("test.yml")["vitess"]["steps"]]


def needed(workflow: dict[str, dict[str, Any]], name: str) -> set[str]:
    """The jobs that have to succeed before the named one starts."""
    needs = workflow[name].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(needed(workflow, each) for each in direct))
