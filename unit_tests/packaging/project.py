"""Reads the project's own files for the tests of its packaging."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def toml(name: str) -> dict[str, Any]:
    return tomllib.loads(text(name))


def poetry() -> dict[str, Any]:
    section: dict[str, Any] = toml("pyproject.toml")["tool"]["poetry"]
    return section
