"""Which keyspaces a source reads, and asking several of them side by side."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from source_planetscale.errors import ConfigError, SourceError, TransientError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping, Sequence

_Answer = TypeVar("_Answer")

_ASKED_AT_ONCE = 8
# MySQL's own databases, which some servers list beside keyspaces, and the one for a tablet's own tables.
_NO_KEYSPACES = frozenset({"information_schema", "mysql", "performance_schema", "sys", "_vt"})


@dataclass(frozen=True)
class KeyspaceChoice:
    """The keyspaces that a configuration chooses.

    Attributes:
        database: The first one.
        further: Names of further ones, and patterns in which `%` stands for any characters.
    """

    database: str
    further: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether there may be more than one."""
        return bool(self.further)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are chosen by name."""
        return (self.database, *(name for name in self.further if "%" not in name))

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns."""
        return tuple(pattern for pattern in self.further if "%" in pattern)

    def includes(self, name: str) -> bool:
        """Tells whether a keyspace is chosen, by name or by pattern."""
        return name in self.names or any(_matches(name, pattern) for pattern in self.patterns)

    def among(self, visible: Sequence[str]) -> list[str]:
        """Gives the chosen ones: those with a name, whether they are visible or not, then the matching ones.

        Args:
            visible: The keyspaces that vtgate shows.

        Raises:
            ConfigError: A pattern matches none of them.
        """
        idle = [pattern for pattern in self.patterns if not any(_matches(name, pattern) for name in visible)]
        if idle:
            raise ConfigError(
                f"No keyspace matches {', '.join(idle)}. Those there are: {', '.join(visible)}. Correct "
                "keyspaces, or take the pattern out."
            )
        return list(dict.fromkeys([*self.names, *filter(self.includes, visible)]))

    def __str__(self) -> str:
        """The choice as errors show it."""
        return ", ".join([self.database, *self.further])


def only_keyspaces(names: Iterable[str]) -> list[str]:
    """Leaves out databases that are no keyspaces but MySQL's and Vitess's own."""
    return sorted(name for name in names if name not in _NO_KEYSPACES)


def ask_each(keyspaces: Sequence[str], ask: Callable[[str], _Answer]) -> dict[str, _Answer | SourceError]:
    """Asks several keyspaces side by side, so that one that does not answer holds no other one up.

    Args:
        keyspaces: Their names.
        ask: Asks one, in any thread.

    Returns:
        Keyspace -> the answer, or why there is none.
    """

    def answer(name: str) -> _Answer | SourceError:
        try:
            return ask(name)
        except SourceError as error:
            return error

    if len(keyspaces) < 2:
        return {name: answer(name) for name in keyspaces}
    with ThreadPoolExecutor(min(len(keyspaces), _ASKED_AT_ONCE)) as pool:
        return dict(zip(keyspaces, pool.map(answer, keyspaces), strict=True))


def answered(
    answers: Mapping[str, _Answer | SourceError], choice: KeyspaceChoice, logger: logging.Logger
) -> dict[str, _Answer]:
    """Takes the answers of those that gave one; a keyspace that only a pattern chooses may be left out.

    It is left out where the user may not read it, or where there is nothing to read. What may pass is an
    error for each of them: a platform that finds streams missing takes them out of its connections.

    Args:
        answers: As `ask_each` gives them.
        choice: What is configured.
        logger: Is told what is left out.

    Raises:
        SourceError: Others gave none, or all of them.
    """
    found: dict[str, _Answer] = {}
    failed: dict[str, SourceError] = {}
    for name, given in answers.items():
        if isinstance(given, SourceError):
            failed[name] = given
        else:
            found[name] = given
    fatal = [error for name, error in failed.items() if name in choice.names]
    fatal += [
        TransientError(
            f"{error} To go on without keyspace {name}, name the others in keyspaces.", error.cause
        )
        for name, error in failed.items()
        if name not in choice.names and isinstance(error, TransientError)
    ]
    if fatal or not found:
        raise _joined(fatal or list(failed.values()))
    for name, error in failed.items():
        logger.warning(f"Keyspace {name} is left out: {error}")
    return found


def _joined(errors: Sequence[SourceError]) -> SourceError:
    if len(errors) == 1:
        return errors[0]
    kind = TransientError if all(isinstance(error, TransientError) for error in errors) else ConfigError
    return kind(" ".join(dict.fromkeys(error.message for error in errors)))


def _matches(name: str, pattern: str) -> bool:
    wanted = ".*".join(map(re.escape, pattern.split("%")))
    return name not in _NO_KEYSPACES and re.fullmatch(wanted, name, re.DOTALL) is not None
