from __future__ import annotations

import fnmatch
import re

import pytest

from tools.dockerfile import Stage, parse
from unit_tests.packaging.project import ROOT, poetry, text


@pytest.fixture
def stages() -> list[Stage]:
    return parse(text("Dockerfile"))


def test_both_stages_stand_on_one_base_pinned_by_digest(stages: list[Stage]) -> None:
    assert [(stage.name, stage.base) for stage in stages] == [
        ("builder", "${BASE_IMAGE}"),
        ("final", "${BASE_IMAGE}"),
    ]
    assert re.search(r"^ARG BASE_IMAGE=\S+@sha256:[0-9a-f]{64}$", text("Dockerfile"), re.MULTILINE)


def test_the_final_stage_installs_nothing(stages: list[Stage]) -> None:
    final = stages[-1]
    assert final.all("RUN") == []
    assert final.all("COPY") == ["--from=builder /opt/connector /opt/connector"]


def test_the_image_runs_as_an_ordinary_user(stages: list[Stage]) -> None:
    assert stages[-1].all("USER") == ["airbyte"]


def test_the_entry_point_is_the_connectors_command(stages: list[Stage]) -> None:
    final = stages[-1]
    command = "/opt/connector/bin/source-planetscale"
    assert "source-planetscale" in poetry()["scripts"]
    assert final.all("ENTRYPOINT") == [f'["{command}"]']
    assert f'AIRBYTE_ENTRYPOINT="{command}"' in " ".join(final.all("ENV"))


def test_everything_is_installed_from_wheels_with_the_locked_hashes(stages: list[Stage]) -> None:
    installs = [
        command
        for run in stages[0].all("RUN")
        for command in run.split("&&")
        if " install " in command and "--no-index" not in command
    ]
    assert len(installs) == 2
    assert all("--require-hashes" in command and "--only-binary :all:" in command for command in installs)


def test_the_build_context_holds_what_is_copied_and_no_more(stages: list[Stage]) -> None:
    copied = {name.removeprefix("./") for copy in stages[0].all("COPY") for name in copy.split()[:-1]}
    rules = [line for line in text(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
    assert not any(fnmatch.fnmatch(name, rule) for name in copied for rule in rules[1:] if rule[0] != "!")
