"""What users saved under an earlier release, against the spec and the catalog of today.

The golden files of `test_spec_and_catalog.py` are today's.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.protocol.compatibility import backward_faults, catalog_faults, forward_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.support.command import Json

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
RELEASES = sorted(path.name for path in GOLDEN.iterdir() if (path / "catalog.json").exists())


def saved(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def form(name: str) -> Json:
    connection: Json = saved(name)["connectionSpecification"]
    return connection


def test_every_release_of_the_changelog_has_its_spec_and_catalog_saved() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)) == RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_configurations_go_from_release_to_release_and_back(release: str) -> None:
    assert backward_faults(form(f"{release}/spec"), form("spec")) == []
    assert forward_faults(form(f"{release}/spec"), form("spec")) == []


def test_configurations_of_the_replaced_connector_go_on_working() -> None:
    # Its program took no negative number of retries, whatever its form said.
    assert backward_faults(form("go-connector/spec"), form("spec")) == [
        "/max_retries: has a stricter minimum"
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_tables_made_from_a_releases_catalog_go_on_working(release: str) -> None:
    assert catalog_faults(saved(f"{release}/catalog"), saved("catalog")) == []


def field(spec: Json, name: str) -> Json:
    found: Json = spec["properties"][name]
    return found


BREAKING_SPECS: dict[str, Callable[[Json], object]] = {
    "/host: is no longer of type string": lambda spec: field(spec, "host").update(type="integer"),
    "/shards: is gone": lambda spec: spec["properties"].pop("shards"),
    "/shards: is newly required": lambda spec: spec["required"].append("shards"),
    "/host: has a new pattern": lambda spec: field(spec, "host").update(pattern="^[a-z]+$"),
    "/host: allows fewer values": lambda spec: field(spec, "host").update(enum=["localhost"]),
    "/invalid_cdc_cursor_position_behavior: allows fewer values": lambda spec: field(
        spec, "invalid_cdc_cursor_position_behavior"
    )["enum"].pop(),
    "/timeout_seconds: has a stricter minimum": lambda spec: field(spec, "timeout_seconds").update(minimum=2),
    "/grpc_port: has a stricter maximum": lambda spec: field(spec, "grpc_port").update(maximum=1024),
    "/host: is newly a choice": lambda spec: field(spec, "host").update(oneOf=[{"type": "string"}]),
    ": refuses unknown fields": lambda spec: spec.update(additionalProperties=False),
    "/password: is no longer secret": lambda spec: field(spec, "password").pop("airbyte_secret"),
    "/options: variant 0 is refused": lambda spec: field(spec, "options")["oneOf"][0]["required"].append(
        "storage"
    ),
}


@pytest.mark.parametrize("fault", BREAKING_SPECS)
def test_a_spec_that_breaks_saved_configurations_is_found(fault: str) -> None:
    changed = copy.deepcopy(form("spec"))
    BREAKING_SPECS[fault](changed)
    assert backward_faults(form("spec"), changed) == [fault]


def test_a_new_optional_field_breaks_neither_way() -> None:
    changed = copy.deepcopy(form("spec"))
    changed["properties"]["more"] = {"type": "string"}
    assert backward_faults(form("spec"), changed) == forward_faults(form("spec"), changed) == []


def test_a_wider_field_breaks_the_way_back() -> None:
    changed = copy.deepcopy(form("spec"))
    field(changed, "invalid_cdc_cursor_position_behavior")["enum"].append("Ask")
    assert backward_faults(form("spec"), changed) == []
    assert forward_faults(form("spec"), changed) == [
        "/invalid_cdc_cursor_position_behavior: allows fewer values"
    ]


def columns(catalog: list[Json]) -> Json:
    found: Json = catalog[0]["json_schema"]["properties"]
    return found


BREAKING_CATALOGS: dict[str, Callable[[list[Json]], object]] = {
    "is gone": lambda catalog: catalog.pop(0),
    "has another source_defined_primary_key": lambda catalog: catalog[0][
        "source_defined_primary_key"
    ].reverse(),
    "has another default_cursor_field": lambda catalog: catalog[0].update(default_cursor_field=["n"]),
    "has lost a sync mode": lambda catalog: catalog[0]["supported_sync_modes"].pop(),
    "column n is gone": lambda catalog: columns(catalog).pop("n"),
    "column n has another type": lambda catalog: columns(catalog)["n"].update(airbyte_type="number"),
}


@pytest.mark.parametrize("fault", BREAKING_CATALOGS)
def test_a_catalog_that_breaks_tables_is_found(fault: str) -> None:
    changed = copy.deepcopy(saved("catalog"))
    BREAKING_CATALOGS[fault](changed)
    assert catalog_faults(saved("catalog"), changed) == [f"golden_composite: {fault}"]


def test_a_new_column_and_a_new_stream_break_nothing() -> None:
    changed = copy.deepcopy(saved("catalog"))
    columns(changed)["more"] = {"type": ["null", "string"]}
    changed.append({**changed[0], "name": "more"})
    assert catalog_faults(saved("catalog"), changed) == []
