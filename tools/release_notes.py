"""Prints the changelog's section of the project's version, for the notes of its release."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Prints the section.

    Returns:
        The exit code: 1 when the changelog has no words on the version.
    """
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    notes = section((ROOT / "CHANGELOG.md").read_text("utf-8"), version[1]) if version else ""
    print(notes)
    return 0 if notes else 1


def section(changelog: str, version: str) -> str:
    """Returns the text below the heading of a version, up to the next heading of its level.

    Args:
        changelog: Markdown with a heading of level 2 for each version, which a date may follow.
        version: As in the heading.

    Returns:
        The text without blank lines around it, empty where there is none.
    """
    heading = rf"^## {re.escape(version)}(?: [^\n]*)?$"
    found = re.search(rf"{heading}\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


if __name__ == "__main__":
    sys.exit(main())
