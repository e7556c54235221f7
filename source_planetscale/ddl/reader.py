"""Reads tokens one after the other, with what every part of the grammar asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from source_planetscale.ddl.tokens import END, Token, TokenKind

if TYPE_CHECKING:
    from collections.abc import Sequence


class GrammarError(ValueError):
    """The tokens do not follow the grammar as far as it is known here."""


class TableName(NamedTuple):
    """A table as a statement names it.

    Attributes:
        qualifier: The database in front of it; empty if there is none.
        name: The bare name, without quotes.
    """

    qualifier: str
    name: str


class Reader:
    """A place in a list of tokens. Every method moves on only over what it takes."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        """Stands in front of the first token."""
        self._tokens = tokens
        self._place = 0

    @property
    def next(self) -> Token:
        """The token in front of which it stands."""
        return self.ahead(0)

    def ahead(self, distance: int) -> Token:
        """The token so many places on."""
        place = self._place + distance
        return self._tokens[place] if place < len(self._tokens) else END

    @property
    def at_end(self) -> bool:
        """Whether no token is left."""
        return self.next is END

    def take(self) -> Token:
        """Takes whatever token is next.

        Raises:
            GrammarError: None is left.
        """
        if self.at_end:
            raise GrammarError
        self._place += 1
        return self._tokens[self._place - 1]

    def sees(self, *keywords: str) -> bool:
        """Whether these keywords are next, one after the other."""
        return all(self.ahead(distance).keyword == word for distance, word in enumerate(keywords))

    def ends_with(self, *keywords: str) -> bool:
        """Whether these keywords are the last ones of all."""
        return tuple(token.keyword for token in self._tokens[-len(keywords) :]) == keywords

    def accept(self, *keywords: str) -> bool:
        """Takes these keywords if they are next."""
        seen = self.sees(*keywords)
        if seen:
            self._place += len(keywords)
        return seen

    def accept_any(self, *keywords: str) -> str:
        """Takes one of these keywords if it is next, and says which; empty if none is."""
        keyword = self.next.keyword
        if keyword not in keywords:
            return ""
        self._place += 1
        return keyword

    def expect(self, *keywords: str) -> None:
        """Takes these keywords.

        Raises:
            GrammarError: Others are next.
        """
        if not self.accept(*keywords):
            raise GrammarError

    def name(self) -> str:
        """Takes a name, quoted or not.

        Raises:
            GrammarError: No name is next.
        """
        token = self.take()
        if token.kind in (TokenKind.WORD, TokenKind.NAME) or token.quote == '"':
            return token.text
        raise GrammarError

    def string(self) -> str:
        """Takes a string.

        Raises:
            GrammarError: No string is next.
        """
        token = self.take()
        if token.kind is not TokenKind.STRING:
            raise GrammarError
        return token.text

    def number(self) -> int:
        """Takes a whole number without sign.

        Raises:
            GrammarError: No such number is next.
        """
        text = self.take().keyword
        if not (text.isascii() and text.isdecimal()):
            raise GrammarError
        # Far more digits than any length has would only cost time.
        return int(text[:20])

    def table(self) -> TableName:
        """Takes a table's name, qualified or not.

        Raises:
            GrammarError: No name is next.
        """
        self.accept(".")
        name = self.name()
        return TableName(name, self.name()) if self.accept(".") else TableName("", name)

    def skip_parentheses(self) -> None:
        """Takes everything from an opening parenthesis to the one that closes it.

        Raises:
            GrammarError: No parenthesis is next, or it is never closed.
        """
        self.expect("(")
        depth = 1
        while depth:
            keyword = self.take().keyword
            depth += (keyword == "(") - (keyword == ")")

    def skip_rest(self) -> None:
        """Takes everything that is left."""
        self._place = len(self._tokens)

    def skip_clause(self) -> None:
        """Takes everything up to the next comma that stands in no parentheses."""
        while not self.at_end and not self.sees(","):
            if self.sees("("):
                self.skip_parentheses()
            else:
                self.take()
