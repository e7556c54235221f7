from __future__ import annotations

import json
import re

import pytest

from source_planetscale.columns import families
from tools import pages
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
PAGES = [
    str(page.relative_to(ROOT)) for folder in (".", "docs") for page in sorted((ROOT / folder).glob("*.md"))
]


def test_the_pages_headings_are_in_the_order_that_airbyte_checks() -> None:
    found = re.findall(r"^#+ .*$", text("docs/planetscale.md"), re.MULTILINE)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS


def test_the_page_that_airbyte_publishes_is_for_its_users_and_short_enough_to_be_read() -> None:
    page = text("docs/planetscale.md")
    assert len(page.splitlines()) < 300
    assert "::test_" not in page
    assert not re.search(r"_tests/|`make |\]\((?!https?:|#)", page)


def test_every_option_of_the_spec_has_a_row() -> None:
    names = json.loads(text("source_planetscale/spec.json"))["connectionSpecification"]["properties"]
    for table in (pages.options(), pages.options_in_short()):
        assert sorted(re.findall(r"^\| .*?`(\w+)` \|", table, re.MULTILINE)) == sorted(names)


def test_every_type_has_a_row() -> None:
    table = pages.types()
    for family in families.FAMILIES:
        for name in family.names:
            assert f"`{name}`" in table


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text(page)):
        assert (ROOT / page).parent.joinpath(target).exists(), target
