"""Whether what users saved under an earlier release goes on working: its configurations and its catalogs.

At a release its spec and catalog are saved under `golden/` in a directory of its version. `go-connector`
holds the spec of the connector that this one replaces, as far as it decides which configurations are valid.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from integration_tests.support.command import Json

# Limits that refuse more as they grow, and that refuse more as they shrink.
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_VALUES_OF_A_COLUMN = ("type", "format", "airbyte_type")
_MISSING = object()


def backward_faults(previous: Json, current: Json) -> list[str]:
    """Why a configuration saved under the previous spec may be refused, or lose a field, today."""
    return list(_faults(previous, current, "", fields_may_go=False))


def forward_faults(previous: Json, current: Json) -> list[str]:
    """Why a configuration saved under the current spec may be refused after a return to the previous one.

    Fields that the previous one does not know are no fault: it ignores them.
    """
    return list(_faults(current, previous, "", fields_may_go=True))


def _faults(old: Json, new: Json, where: str, *, fields_may_go: bool) -> Iterator[str]:
    lost = _types(old) - _types(new)
    if lost:
        yield f"{where}: is no longer of type {', '.join(sorted(lost))}"
    yield from (f"{where}: {fault}" for fault in _narrowed(old, new))
    fields, known = old.get("properties", {}), new.get("properties", {})
    for name, field in fields.items():
        if name in known:
            yield from _faults(field, known[name], f"{where}/{name}", fields_may_go=fields_may_go)
        elif not fields_may_go:
            yield f"{where}/{name}: is gone"
    for name in set(new.get("required", [])) - set(old.get("required", [])):
        yield f"{where}/{name}: is newly required"
    if "oneOf" in new and "oneOf" not in old:
        yield f"{where}: is newly a choice"
    for number, variant in enumerate(old.get("oneOf", [])):
        choices = new.get("oneOf", [{}])
        if all(any(_faults(variant, choice, "", fields_may_go=fields_may_go)) for choice in choices):
            yield f"{where}: variant {number} is refused"


def _types(schema: Json) -> set[str]:
    every = ["null", "boolean", "object", "array", "integer", "number", "string"]
    types = schema.get("type", every)
    found = {types} if isinstance(types, str) else set(types)
    return found | {"integer"} if "number" in found else found


def _narrowed(old: Json, new: Json) -> Iterator[str]:
    for keyword in ("pattern", "format"):
        if keyword in new and new[keyword] != old.get(keyword):
            yield f"has a new {keyword}"
    if (allowed := _allowed(new)) is not None and any(
        each not in allowed for each in _allowed(old) or [_MISSING]
    ):
        yield "allows fewer values"
    for keywords, is_stricter in ((_LOWER, operator.gt), (_UPPER, operator.lt)):
        for keyword in keywords:
            if keyword in new and (keyword not in old or is_stricter(new[keyword], old[keyword])):
                yield f"has a stricter {keyword}"
    if new.get("additionalProperties", True) is False and old.get("additionalProperties", True) is not False:
        yield "refuses unknown fields"
    if old.get("airbyte_secret") and not new.get("airbyte_secret"):
        yield "is no longer secret"


def _allowed(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def catalog_faults(previous: Sequence[Json], current: Sequence[Json]) -> list[str]:
    """What breaks the tables that were made from the previous catalog of the same source."""
    streams = {(stream["name"], stream.get("namespace")): stream for stream in current}
    faults = []
    for old in previous:
        new = streams.get((old["name"], old.get("namespace")))
        if new is None:
            faults.append(f"{old['name']}: is gone")
        else:
            faults += [f"{old['name']}: {fault}" for fault in _stream_faults(old, new)]
    return faults


def _stream_faults(old: Json, new: Json) -> Iterator[str]:
    for key in ("source_defined_primary_key", "source_defined_cursor", "default_cursor_field"):
        if old.get(key) != new.get(key):
            yield f"has another {key}"
    if not set(old["supported_sync_modes"]) <= set(new["supported_sync_modes"]):
        yield "has lost a sync mode"
    columns: Mapping[str, Json] = new["json_schema"]["properties"]
    for name, column in old["json_schema"]["properties"].items():
        if name not in columns:
            yield f"column {name} is gone"
        elif any(column.get(key) != columns[name].get(key) for key in _VALUES_OF_A_COLUMN):
            yield f"column {name} has another type"
