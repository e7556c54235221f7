"""A terminal's page: colours where it has them, plain text where it has not."""

from __future__ import annotations

import os
import re
from typing import TextIO

WIDTH = 92

_STYLES = {"bold": "1", "dim": "2", "green": "32", "red": "31", "yellow": "33", "blue": "34", "cyan": "36"}
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_MARK = re.compile(r"<(/?)(\w+)>")
# For terminals that cannot show more than ASCII.
_ASCII = str.maketrans(
    {
        "█": "#", "░": ".", "─": "-", "━": "=", "│": "|", "┃": "|", "╭": "+", "╮": "+", "╰": "+",
        "╯": "+", "┓": "+", "┛": "+", "┣": "+", "┫": "+", "┏": "+", "┗": "+", "▶": ">", "→": ">",
        "✔": "*", "✘": "!", "·": "-", "…": "~",
    }
)  # fmt: skip


class Terminal:
    """Writes lines with marks such as `<bold>text</bold>`; one line may be live, drawn anew in place."""

    def __init__(self, out: TextIO) -> None:
        """Finds out what `out` can show: colours on a terminal unless NO_COLOR is set, else none."""
        self._out = out
        self.interactive = out.isatty() and os.environ.get("TERM") != "dumb"
        self._coloured = self.interactive and not os.environ.get("NO_COLOR")
        self._unicode = _can_encode(out.encoding, "█━▶✔…")
        self._live = False

    def line(self, text: str = "") -> None:
        """Writes a line, in place of the live one if there is one."""
        self._out.write(self._start() + self._shown(text) + "\n")
        self._out.flush()
        self._live = False

    def live(self, text: str) -> None:
        """Shows a line that the next one replaces; nothing where lines cannot be replaced."""
        if self.interactive:
            self._out.write(self._start() + self._shown(text))
            self._out.flush()
            self._live = True

    def _start(self) -> str:
        return "\r\x1b[2K" if self._live else ""

    def _shown(self, text: str) -> str:
        text = _MARK.sub(self._code, text).rstrip()
        return text if self._unicode else text.translate(_ASCII)

    def _code(self, match: re.Match[str]) -> str:
        if match[2] not in _STYLES:
            return match[0]
        if not self._coloured:
            return ""
        return "\x1b[0m" if match[1] else f"\x1b[{_STYLES[match[2]]}m"


def plain(text: str) -> str:
    """The text without marks and escapes."""
    return _ESCAPE.sub("", _MARK.sub(lambda match: "" if match[2] in _STYLES else match[0], text))


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Pads a marked text to a visible width; a longer one stays as it is."""
    blanks = " " * max(0, width - len(plain(text)))
    return blanks + text if right else text + blanks


def bar(part: float, width: int) -> str:
    """A bar that is filled to a part between 0 and 1; visible as soon as there is something."""
    filled = min(width, max(round(part * width), 1 if part > 0 else 0))
    return f"<cyan>{'█' * filled}</cyan><dim>{'░' * (width - filled)}</dim>"


def columns(rows: list[list[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Lays out a table of marked texts, two blanks between columns; `right` names the right-aligned ones."""
    widths = [max(len(plain(cell)) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(padded(cell, widths[at], right=at in right) for at, cell in enumerate(row)) for row in rows
    ]


def boxed(title: str, lines: list[str]) -> list[str]:
    """Draws a box of the page's width around lines."""
    inner = WIDTH - 4
    top = f"─ <bold>{title}</bold> " + "─" * (WIDTH - len(plain(title)) - 5)
    middle = [f"│ {padded(line, inner)} │" for line in lines]
    return [f"╭{top}╮", *middle, f"╰{'─' * (WIDTH - 2)}╯"]


def _can_encode(encoding: str | None, text: str) -> bool:
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
