from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from source_planetscale.columns.docs import types_page
from source_planetscale.columns.families import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "types.md"


def test_the_documented_types_are_those_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == types_page()


def test_the_command_in_the_page_writes_the_page() -> None:
    written = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "source_planetscale.columns"],
        cwd=PAGE.parents[1],
        check=True,
        capture_output=True,
    )
    assert written.stdout.decode() == types_page()


def test_every_type_has_a_line() -> None:
    page = types_page()
    for family in FAMILIES:
        for name in family.names:
            assert f"`{name}`" in page
