"""MySQL's lexical rules: words, quoted names, strings, punctuation and comments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

# `/*!80013 ... */` is run by the server, so what stands in it counts; any other comment is blank.
_TOKEN = re.compile(
    r"""
    (?P<blank> [\x00-\x20]+ | --(?=[\x00-\x20]|\Z)[^\n]* | \#[^\n]* | /\*(?!!).*?\*/ )
    | (?P<run> /\*![0-9]{0,6} )
    | (?P<name> `(?:[^`]|``)*` )
    | (?P<string> '(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" )
    | (?P<word> [0-9A-Za-z_$\x80-\U0010ffff]+ )
    | (?P<mark> [^`'"] )
    """,
    re.VERBOSE | re.DOTALL,
)

_STRING_ESCAPES = {
    "'": re.compile(r"''|\\(.)", re.DOTALL),
    '"': re.compile(r"\"\"|\\(.)", re.DOTALL),
}
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
# In front of these a backslash stays, for the sake of LIKE.
_KEPT_ESCAPES = frozenset("%_")


class TokenKind(Enum):
    """What a token is."""

    WORD = "word"
    NAME = "name"
    STRING = "string"
    MARK = "mark"
    END = "end"


@dataclass(frozen=True)
class Token:
    """One token.

    Attributes:
        kind: What it is.
        text: A word or mark as it stands; a quoted name or a string without quotes and escapes.
        quote: The quotation mark of a string, which ANSI_QUOTES makes a name of if it is a double one.
    """

    kind: TokenKind
    text: str
    quote: str = ""

    @property
    def keyword(self) -> str:
        """The word or mark in lower case; empty for names and strings, which are never keywords."""
        return self.text.lower() if self.kind in (TokenKind.WORD, TokenKind.MARK) else ""


END = Token(TokenKind.END, "")


class LexicalError(ValueError):
    """The text is not made of MySQL's tokens: a quotation mark has no partner."""


def tokens_of(text: str) -> list[Token]:
    """Takes a statement apart.

    Args:
        text: The statement.

    Returns:
        Its tokens, without comments.

    Raises:
        LexicalError: A quotation mark or a comment is never closed.
    """
    tokens: list[Token] = []
    place, runs = 0, 0
    while place < len(text):
        if runs and text.startswith("*/", place):
            place, runs = place + len("*/"), runs - 1
            continue
        found = _TOKEN.match(text, place)
        if found is None or (text.startswith("/*", place) and found.lastgroup == "mark"):
            raise LexicalError
        place = found.end()
        if found.lastgroup == "run":
            runs += 1
        elif found.lastgroup != "blank":
            tokens.append(_token(found.lastgroup or "", found[0]))
    if runs:
        raise LexicalError
    return tokens


def _token(kind: str, text: str) -> Token:
    if kind == "name":
        return Token(TokenKind.NAME, text[1:-1].replace("``", "`"))
    if kind == "string":
        return Token(TokenKind.STRING, _STRING_ESCAPES[text[0]].sub(_unescaped, text[1:-1]), text[0])
    return Token(TokenKind(kind), text)


def _unescaped(found: re.Match[str]) -> str:
    character: str | None = found[1]
    if character is None:
        return found[0][0]
    return found[0] if character in _KEPT_ESCAPES else _ESCAPES.get(character, character)
