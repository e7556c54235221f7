"""What the generated sections of the pages say, and the command that has cog write or compare them.

A section stands in its page between cog's markers, with the call that makes its text. Every function here
that makes one returns Markdown between two empty lines, since not every renderer takes a table for one next
to a comment.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogapp import Cog  # type: ignore[import-untyped]

from source_planetscale.columns import families
from source_planetscale.columns.charsets import CHARSETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from source_planetscale.columns.family import Family

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "source_planetscale" / "spec.json"
# What `make bench` and `make qa` found.
MEASUREMENTS = ROOT / "docs" / "performance.json"
QA_RESULTS = ROOT / "docs" / "qa.json"


def main() -> int:
    """Writes the sections of every page, or with `--check` compares them.

    Returns:
        The exit code: not 0 when `--check` finds a section that is out of date.
    """
    check = ["--check", "--diff", "--check-fail-msg=Run `make docs`."]
    how = check if "--check" in sys.argv[1:] else ["-r"]
    pages = sorted(str(page) for folder in (ROOT, ROOT / "docs") for page in folder.glob("*.md"))
    settings = ["--verbosity=1", "-U", "-n", "utf-8", "-I", str(ROOT), "-p", "from tools import pages"]
    code: int = Cog().main(["cog", *how, *settings, *pages])
    return code


def options() -> str:
    """The options of the configuration, in the words of the form."""
    return table(
        ("Option", "Default", "What it does"),
        (
            (f"**{field['title']}** `{name}`", default or "required" * required, field["description"])
            for name, field, default, required in _fields()
        ),
    )


def options_in_short() -> str:
    """The options of the configuration, each with the first sentence of its description."""
    return table(
        ("Option", "Default", "In short"),
        (
            (f"`{name}`", default, _first_sentence(field["description"]))
            for name, field, default, _ in _fields()
        ),
    )


def types() -> str:
    """The types of MySQL: schema, example, notes, and what the connector before this one emits instead."""
    return table(
        ("MySQL type", "JSON schema", "Example", "Note", "Existing connector"),
        (
            (_names(family), _schema(family), _code(family.example.json), family.note, family.existing)
            for family in (*families.FAMILIES, families.UNKNOWN)
        ),
    )


def charsets_with_gaps() -> str:
    """The character sets whose columns can hold bytes that are no character."""
    return "\n" + ", ".join(f"`{charset.name}`" for charset in CHARSETS if charset.has_gaps) + ".\n"


def measurements() -> str:
    """What `make bench` measured, and where and when."""
    found = json.loads(MEASUREMENTS.read_text(encoding="utf-8"))
    return results(found["conditions"], found["lines"])


def results(conditions: str, lines: Iterable[dict[str, Any]]) -> str:
    """Draws results of the bench.

    Args:
        conditions: Sentences on where, when and how it was measured.
        lines: The attributes of `bench.terms.Line`.
    """
    marks = {None: "", True: "yes", False: "**no**"}
    rows = ((line["what"], line["figures"], line["goal"], marks[line["met"]]) for line in lines)
    return f"\n{conditions}\n{table(('what', 'measured', 'goal', 'met'), rows)}"


def profile() -> str:
    """Which functions the reading thread spent its time in, as `make bench` saw it."""
    lines = json.loads(MEASUREMENTS.read_text(encoding="utf-8"))["profile"]
    return "\n".join(["", *lines, ""])


def qa_results() -> str:
    """The results of Airbyte's QA suite, as `make qa` got them."""
    results = json.loads(QA_RESULTS.read_text(encoding="utf-8"))
    return table(("Check", "Result", "Why"), ((r["check"], r["result"], r["why"]) for r in results))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Draws a Markdown table, with an empty line before and after it."""
    names = tuple(head)
    lines = [names, (":---",) * len(names), *rows]
    return "\n".join(["", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _fields() -> Iterator[tuple[str, dict[str, Any], str, bool]]:
    # In the order of the form: name, definition, default as a reader sees it, whether it is required.
    specification = json.loads(SPEC.read_text(encoding="utf-8"))["connectionSpecification"]
    for name, field in sorted(specification["properties"].items(), key=lambda item: int(item[1]["order"])):
        default = f"`{json.dumps(field['default'])}`" if field.get("default", "") != "" else ""
        yield name, field, default, name in specification["required"]


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[a-z)\"])[.:;] ", text)[0].rstrip(".") + "."


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _names(family: Family) -> str:
    return ", ".join(f"`{name}`" for name in family.names) or "any other"


def _schema(family: Family) -> str:
    schema = dict(family.schema)
    words = [str(schema.pop("type"))]
    if "items" in schema:
        words.append(f"of {schema.pop('items')['type']}s")
    details = [f"`{key}: {value}`" for key, value in schema.items()]
    return ", ".join([" ".join(words), *details])


if __name__ == "__main__":
    sys.exit(main())
