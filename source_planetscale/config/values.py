"""Typed access to the fields of a configuration; no message ever shows a value, it may be a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from source_planetscale.errors import ConfigError

_HIGHEST_PORT = 65535


def refused(name: str, rule: str) -> ConfigError:
    """Says that a field breaks a rule; `rule` is the rest of a sentence such as "must be a text"."""
    return ConfigError(f"The configuration field {name} {rule}. Correct it and try again.")


def canonical(raw: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Gives an object with the spec's own spelling of its keys and without nulls.

    Args:
        raw: The object; an exact key wins over one in another case, whichever comes first.
        names: The spec's keys; others stay as they are.
    """
    by_folded_name = {name.casefold(): name for name in names}
    folded = {
        by_folded_name.get(key.casefold(), key): value for key, value in raw.items() if value is not None
    }
    exact = {name: raw[name] for name in names if raw.get(name) is not None}
    return folded | exact


class Values:
    """The fields of one object of a normalised configuration.

    Every method gives a field's value, or the default if it is unset, and raises a `ConfigError` that names
    the field if the value is of another form.
    """

    def __init__(self, values: Mapping[str, Any], within: str = "") -> None:
        """Takes the object.

        Args:
            values: The object.
            within: The name of the field that holds it; empty for the configuration itself.
        """
        self._values = values
        self._within = f"{within}." if within else ""

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise self.refused(name, "must be a text")
        return value

    def needed(self, name: str) -> str:
        """A text that has to be there and holds more than spaces; they are cut off at its ends."""
        value = self.text(name).strip()
        if not value:
            raise self.refused(name, "is missing: enter it")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise self.refused(name, "must be true or false")
        return value

    def whole(self, name: str, default: int, least: int, most: int | None = None) -> int:
        """A whole number between two limits."""
        value = self._values.get(name, default)
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        # JSON Schema counts 3.0 as an integer; Python counts True as one.
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        if not whole or value < least or (most is not None and value > most):
            raise self.refused(name, f"must be a whole number {limits}")
        return int(value)

    def port(self, name: str, default: int) -> int:
        """A TCP port."""
        return self.whole(name, default, least=1, most=_HIGHEST_PORT)

    def inner(self, name: str, form: str) -> Values | None:
        """An object; None if it is unset.

        Args:
            name: The field.
            form: What it may look like, for the error.
        """
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.refused(name, f"must be an object such as {form}")
        return Values(value, f"{self._within}{name}")

    def items(self, name: str, form: str) -> list[Values]:
        """A list of objects; arguments as `inner`."""
        values = self._values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
            raise self.refused(name, f"must be a list of objects such as {form}")
        return [Values(value, f"{self._within}{name}") for value in values]

    def texts(self, name: str) -> list[str]:
        """A list of texts, none of them empty."""
        values = self._values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v.strip() for v in values):
            raise self.refused(name, "must be a list of texts, none of them empty")
        return list(values)

    def refused(self, name: str, rule: str) -> ConfigError:
        """As the function of this name, for a field of this object."""
        return refused(self._within + name, rule)
