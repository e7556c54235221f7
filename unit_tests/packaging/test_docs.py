from __future__ import annotations

import re

import pytest

from tools import build_docs
from unit_tests.packaging.project import ROOT, text

# As Airbyte's checks want them, in this order; others may stand where they allow it.
HEADINGS = [
    "# PlanetScale",
    "## Prerequisites",
    "## Setup guide",
    "## Set up PlanetScale",
    "## Set up the PlanetScale connector in Airbyte",
    "### For Airbyte Cloud:",
    "### For Airbyte Open Source:",
    "## Supported sync modes",
    "## Supported Streams",
    "## IP allow list",
    "### Performance considerations",
    "## Data type map",
    "## Limitations & Troubleshooting",
    "## Changelog",
]


def test_the_page_holds_what_its_sources_say() -> None:
    page = text("docs/planetscale.md")
    assert build_docs.build(page) == page, "run `make docs`"


def test_the_pages_headings_are_in_the_order_that_airbyte_checks() -> None:
    found = re.findall(r"^#+ .*$", text("docs/planetscale.md"), re.MULTILINE)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS


def test_an_included_page_brings_no_headings_and_no_links_into_the_repository() -> None:
    page = (
        "<!-- made by hand -->\n# Title\n\n## Part\n\nSee [this](other.md) and [that](https://a.example/).\n"
    )
    assert build_docs.body(page) == "**Part**\n\nSee this and [that](https://a.example/)."


def test_every_option_of_the_spec_is_in_the_table() -> None:
    table = build_docs.options_table(
        {
            "required": ["host"],
            "properties": {
                "port": {"title": "Port", "order": 1, "default": 3306, "description": "Its port."},
                "host": {"title": "Host", "order": 0, "description": "Its name."},
            },
        }
    )
    assert table.splitlines()[2:] == [
        "| **Host** `host` | required | Its name. |",
        "| **Port** `port` | `3306` | Its port. |",
    ]


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text(f"docs/{page}")):
        assert (ROOT / "docs" / target).exists(), f"{page}: {target}"
