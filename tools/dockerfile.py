"""Reads a Dockerfile into stages, and runs a stage's steps in a directory instead of an image."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Stage:
    """One stage of a Dockerfile.

    Attributes:
        base: What it starts from, as written.
        name: Its name after `AS`, or empty.
        steps: Instruction and argument of each step, continuation lines joined.
    """

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Returns the arguments of every step with this instruction, in order."""
        return [argument for found, argument in self.steps if found == instruction]


def parse(text: str) -> list[Stage]:
    """Splits a Dockerfile into its stages; instructions before the first are left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for instruction in "\n".join(lines).replace("\\\n", " ").splitlines():
        keyword, _, argument = instruction.partition(" ")
        argument = " ".join(argument.split())
        if keyword == "FROM":
            base, _, name = argument.partition(" AS ")
            stages.append(Stage(base, name))
        elif stages:
            stages[-1].steps.append((keyword, argument))
    return stages


def run_stage(stage: Stage, context: Path, root: Path, environment: dict[str, str]) -> Path:
    """Runs the COPY and RUN steps of a stage below a directory.

    Args:
        stage: Its paths `/opt` and its work directory are taken as below `root`.
        context: The directory that COPY reads from.
        root: An empty directory that stands for the image's `/`.
        environment: The environment of the RUN steps.

    Returns:
        The directory that stands for the stage's work directory.

    Raises:
        subprocess.CalledProcessError: When a step fails; its output is in `stdout`.
    """
    work = root
    for keyword, argument in stage.steps:
        if keyword == "WORKDIR":
            work = root / argument.lstrip("/")
            work.mkdir(parents=True)
        elif keyword == "COPY":
            *names, target = argument.split()
            for name in names:
                copy(context / name, work / target if len(names) == 1 else work / target / name)
        elif keyword == "RUN":
            command = argument.replace("/opt/", f"{root}/opt/")
            subprocess.run(
                ["sh", "-c", command],
                cwd=work,
                env=environment,
                check=True,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
    return work


def copy(source: Path, target: Path) -> None:
    """Copies a file or a directory, without compiled files."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)
