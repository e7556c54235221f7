from __future__ import annotations

from tools.release_notes import section
from unit_tests.packaging.project import poetry, text

CHANGELOG = """# Changelog

Words.

## 1.1.0 (2027-01-02)

- New.

### More

- Another.

## 1.0.0

- Old.
"""


def test_the_notes_are_the_section_of_the_version() -> None:
    assert section(CHANGELOG, "1.1.0") == "- New.\n\n### More\n\n- Another."
    assert section(CHANGELOG, "1.0.0") == "- Old."


def test_a_version_that_the_changelog_does_not_tell_of_has_no_notes() -> None:
    assert section(CHANGELOG, "1.1") == ""
    assert section(CHANGELOG, "1x0.0") == ""


def test_the_changelog_has_notes_for_todays_version() -> None:
    assert section(text("CHANGELOG.md"), poetry()["version"])
