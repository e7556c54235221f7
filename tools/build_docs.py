"""Fills the included sections of the connector's page: options, types, faults, performance.

The page stands alone in Airbyte's documentation, so what other pages of `docs/` hold is copied
into it, between markers. With `--check`, says whether the page is up to date instead.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGE = DOCS / "planetscale.md"
SPEC = ROOT / "source_planetscale" / "spec.json"

INCLUDE = re.compile(r"(<!-- include: (?P<name>\S+) -->\n).*?(<!-- end include -->)", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
HEADING = re.compile(r"^(#+) +(.*)$", re.MULTILINE)


def main() -> int:
    """Writes the page, or with `--check` compares it.

    Returns:
        The exit code: 1 when `--check` finds the page out of date.
    """
    page = PAGE.read_text()
    built = build(page)
    if "--check" in sys.argv[1:]:
        if page != built:
            print(f"{PAGE.relative_to(ROOT)} is out of date: run `make docs`", file=sys.stderr)
        return int(page != built)
    PAGE.write_text(built)
    return 0


def build(page: str) -> str:
    """Returns the page with the content of every include section brought up to date."""
    return INCLUDE.sub(lambda match: match[1] + section(match["name"]) + match[3], page)


def section(name: str) -> str:
    """Returns the text of one include section, empty while its source does not exist."""
    if name == "options":
        return "\n" + options_table(json.loads(SPEC.read_text())["connectionSpecification"]) + "\n"
    source = DOCS / name
    return "\n" + body(source.read_text()) + "\n\n" if source.exists() else ""


def body(text: str) -> str:
    """Makes a page fit into another one.

    Args:
        text: Markdown with a heading of level 1.

    Returns:
        The text without that heading, with the other headings as bold lines (Airbyte's checks
        allow no further ones), and links to files of this repository as plain text.
    """
    text = COMMENT.sub("", text).lstrip()
    _, _, text = text.partition("\n") if text.startswith("# ") else ("", "", text)
    text = HEADING.sub(lambda match: f"**{match[2]}**", text)
    text = re.sub(r"\[([^\]]*)\]\((?!https?://|#)[^)]*\)", r"\1", text)
    return text.strip()


def options_table(specification: dict[str, Any]) -> str:
    """Draws the table of options from the connection specification."""
    lines = ["| Option | Default | What it does |", "| :--- | :--- | :--- |"]
    properties = specification["properties"].items()
    for name, field in sorted(properties, key=lambda item: int(item[1]["order"])):
        required = name in specification["required"]
        default = (
            "required" if required else f"`{json.dumps(field['default'])}`" if "default" in field else ""
        )
        lines.append(f"| **{field['title']}** `{name}` | {default} | {field['description']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
