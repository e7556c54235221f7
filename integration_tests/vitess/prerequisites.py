"""What an installation may find missing on a machine, and how its commands are run."""

from __future__ import annotations

import pwd
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class MissingPrerequisiteError(Exception):
    """Vitess cannot be installed or run on this machine; the message is one sentence that says why."""


def require_command(name: str, purpose: str) -> None:
    """Raises MissingPrerequisiteError unless the command `name` is on the PATH."""
    if shutil.which(name) is None:
        raise MissingPrerequisiteError(f"The command {name} is missing; it is needed {purpose}.")


def run(
    command: Sequence[str],
    failure: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    user: str = "",
) -> str:
    """Runs a command to its end.

    Args:
        command: The program and its arguments.
        failure: What could not be done, as the beginning of a sentence.
        cwd: Its working directory.
        env: Its environment; the caller's own by default.
        user: Whom to run it as; the caller by default.

    Returns:
        What it wrote to stdout.

    Raises:
        MissingPrerequisiteError: It failed; the message ends with the last line of its stderr.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        user=user or None,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise MissingPrerequisiteError(f"{failure} ({command[0]}: {lines[-1].strip()}).")
    return done.stdout


def progress(text: str) -> None:
    """Writes one line about what goes on to stderr."""
    print(f"vitess: {text}", file=sys.stderr, flush=True)
