"""Which keyspaces a choice means, and what becomes of those that do not answer."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from source_planetscale.errors import ConfigError, InternalError, SourceError, TransientError
from source_planetscale.mysql.keyspaces import KeyspaceChoice, answered, ask_each, only_keyspaces

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGGER = logging.getLogger("test")
CHOICE = KeyspaceChoice("shop", ("users", "t%"))
DEADLINE = 10.0


@pytest.mark.parametrize(
    ("further", "included", "others"),
    [
        ((), ["shop"], ["users", "mysql", ""]),
        (("users",), ["shop", "users"], ["user", "users2"]),
        (("tenant_%",), ["tenant_", "tenant_a", "tenant_a_b"], ["tenantXa", "my_tenant_a"]),
        (("%",), ["shop", "anything"], ["information_schema", "mysql", "performance_schema", "sys", "_vt"]),
        (("%_eu", "a.%"), ["users_eu", "a.b"], ["users_eu2", "aXb"]),
        (("mysql",), ["mysql"], []),
    ],
)
def test_a_choice_is_names_and_patterns_in_which_only_the_percent_sign_is_special(
    further: tuple[str, ...], included: list[str], others: list[str]
) -> None:
    choice = KeyspaceChoice("shop", further)
    assert all(map(choice.includes, included))
    assert not any(map(choice.includes, others))


def test_the_chosen_keyspaces_begin_with_the_database_and_hold_each_once() -> None:
    visible = ["a", "shop", "t1", "t2", "users"]
    assert CHOICE.among(visible) == ["shop", "users", "t1", "t2"]
    assert KeyspaceChoice("shop", ("%", "gone")).among(visible) == ["shop", "gone", "a", "t1", "t2", "users"]
    assert KeyspaceChoice("shop").among([]) == ["shop"]


def test_a_pattern_that_matches_nothing_is_told_beside_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"No keyspace matches t%\. Those there are: a, shop\."):
        CHOICE.among(["a", "shop"])


def test_databases_that_are_no_keyspaces_are_left_out() -> None:
    assert only_keyspaces(["sys", "shop", "mysql", "_vt", "a", "information_schema"]) == ["a", "shop"]


def test_keyspaces_are_asked_side_by_side() -> None:
    together = threading.Barrier(3, timeout=DEADLINE)

    def ask(name: str) -> str:
        together.wait()
        if name == "b":
            raise ConfigError("No.")
        return name.upper()

    found = ask_each(["a", "b", "c"], ask)
    assert list(found) == ["a", "b", "c"]
    assert (found["a"], str(found["b"]), found["c"]) == ("A", "No.", "C")


def test_a_defect_is_no_answer() -> None:
    def ask(_: str) -> str:
        raise RuntimeError("a defect")

    for names in (["a"], ["a", "b"]):
        with pytest.raises(RuntimeError):
            ask_each(names, ask)


def test_a_keyspace_that_only_a_pattern_chooses_is_left_out_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: Mapping[str, int | SourceError] = {"shop": 1, "users": 2, "t1": ConfigError("Denied.")}
    assert answered(answers, CHOICE, LOGGER) == {"shop": 1, "users": 2}
    assert "Keyspace t1 is left out: Denied." in caplog.messages


@pytest.mark.parametrize(
    ("answers", "kind", "sentence"),
    [
        ({"shop": ConfigError("Gone.")}, ConfigError, "Gone."),
        ({"shop": InternalError("Odd."), "users": 1}, InternalError, "Odd."),
        ({"shop": 1, "users": ConfigError("Gone."), "t1": ConfigError("Denied.")}, ConfigError, "Gone."),
        (
            {"shop": 1, "t1": TransientError("Down.")},
            TransientError,
            "Down. To go on without keyspace t1, name the others in keyspaces.",
        ),
        (
            {"shop": TransientError("Down."), "users": TransientError("Slow.")},
            TransientError,
            "Down. Slow.",
        ),
        ({"shop": TransientError("Down."), "users": ConfigError("Gone.")}, ConfigError, "Down. Gone."),
        ({"shop": ConfigError("Wrong."), "users": ConfigError("Wrong.")}, ConfigError, "Wrong."),
        ({"t1": ConfigError("Denied."), "t2": ConfigError("No.")}, ConfigError, "Denied. No."),
    ],
)
def test_a_keyspace_that_was_named_or_may_come_back_is_an_error(
    answers: Mapping[str, int | SourceError], kind: type[SourceError], sentence: str
) -> None:
    with pytest.raises(SourceError) as caught:
        answered(answers, CHOICE, LOGGER)
    assert type(caught.value) is kind
    assert caught.value.message == sentence
