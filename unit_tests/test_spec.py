"""The form that the platform draws from the spec, and Airbyte's rules for its shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import source_planetscale
from source_planetscale.config import FIELDS, Config, normalise
from source_planetscale.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = json.loads((Path(source_planetscale.__file__).parent / "spec.json").read_text(encoding="utf-8"))
SCHEMA = SPEC["connectionSpecification"]
PROPERTIES: dict[str, dict[str, Any]] = SCHEMA["properties"]
MINIMAL = {"host": "db.example.com", "database": "shop", "username": "u", "password": "p"}

# name, type and default of each field of the connector that this one replaces, in its order.
LEGACY_FIELDS = [
    ("host", "string", None),
    ("database", "string", None),
    ("username", "string", None),
    ("password", "string", None),
    ("use_replica", "boolean", False),
    ("use_rdonly", "boolean", False),
    ("shards", "string", None),
    ("include_metadata", "boolean", False),
    ("starting_gtids", "string", ""),
    ("max_retries", "integer", 3),
    ("timeout_seconds", "integer", 300),
    ("use_gtid_with_table_pks", "boolean", False),
    ("options", "object", None),
]

LEGACY_CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    {"options": None, "shards": None, "starting_gtids": None, "max_retries": None},
    {"options": "Public Web"},
    {"options": {}},
    {"options": {"storage": "HTTPS"}},
    {"options": {"do_not_treat_tiny_int_as_boolean": True}},
    {"options": {"do_not_treat_tiny_int_as_boolean": False, "storage": "HTTPS"}},
    {"use_replica": True, "use_rdonly": False, "shards": "-80, 80-", "include_metadata": True},
    {
        "starting_gtids": '{"shop": {"-": "MySQL56/6ca9ebda-e590-11f1-936a-02fc00000001:1-5"}}',
        "max_retries": 3,
        "timeout_seconds": 300,
    },
    {"Use_Replica": True, "TIMEOUT_SECONDS": 301},
    {"unknown": {"anything": 1}},
]


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yields every object of the schema, the outermost first."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_the_spec_is_a_valid_schema_with_the_public_page() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SPEC["documentationUrl"] == "https://docs.airbyte.com/integrations/sources/planetscale"
    assert SPEC["supportsIncremental"] is True


def test_every_field_of_the_replaced_connector_keeps_name_type_default_and_place() -> None:
    fields = [
        (name, field["type"], field.get("default"))
        for name, field in sorted(PROPERTIES.items(), key=lambda item: item[1]["order"])
    ]
    assert fields[: len(LEGACY_FIELDS)] == LEGACY_FIELDS
    assert SCHEMA["required"] == ["host", "database", "username", "password"]


def test_the_parser_knows_the_fields_of_the_form_in_their_order() -> None:
    assert tuple(sorted(PROPERTIES, key=lambda name: int(PROPERTIES[name]["order"]))) == FIELDS
    assert list(PROPERTIES) == list(FIELDS)


def test_filling_in_the_defaults_changes_nothing() -> None:
    defaults = {name: field["default"] for name, field in PROPERTIES.items() if "default" in field}
    assert Config.parse({**MINIMAL, **defaults}) == Config.parse(MINIMAL)


@pytest.mark.parametrize("saved", LEGACY_CONFIGURATIONS)
def test_a_saved_configuration_is_valid_and_parsed(saved: dict[str, Any]) -> None:
    raw = {**MINIMAL, **saved}
    jsonschema.validate(normalise(raw), SCHEMA)
    Config.parse(raw)


@pytest.mark.parametrize(
    "options",
    [
        {"do_not_treat_tiny_int_as_boolean": True},
        {"do_not_treat_tiny_int_as_boolean": True, "storage": "HTTPS"},
    ],
)
def test_saved_options_are_valid_as_they_stand(options: dict[str, Any]) -> None:
    jsonschema.validate({**MINIMAL, "options": options}, SCHEMA)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.floats(allow_nan=False),
    st.sampled_from(["", "x", "Fail sync", "Public Web", "{}", "-80,80-"]),
    st.just([]),
    st.dictionaries(
        st.sampled_from(["storage", "do_not_treat_tiny_int_as_boolean"]), st.booleans() | st.just("HTTPS")
    ),
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "HOST", "Options", "other"]), VALUES, max_size=4))
def test_whatever_the_parser_accepts_is_valid_against_the_spec(changes: dict[str, Any]) -> None:
    raw = {**MINIMAL, **changes}
    try:
        Config.parse(raw)
    except SourceError:
        return
    jsonschema.validate(normalise(raw), SCHEMA)


def test_every_field_has_a_title_a_description_and_a_place_of_its_own() -> None:
    groups = {group["id"] for group in SCHEMA["groups"]}
    for name, field in PROPERTIES.items():
        assert field["title"], name
        assert field["description"].endswith("."), name
        assert field["group"] in groups, name
    assert {field["group"] for field in PROPERTIES.values()} == groups
    orders = [field["order"] for field in PROPERTIES.values()]
    assert len(set(orders)) == len(orders)


def test_only_fields_of_the_form_itself_are_grouped() -> None:
    nested = [field for name in PROPERTIES for field in list(objects(PROPERTIES[name]))[1:]]
    assert nested
    assert not [field for field in nested if "group" in field]


def test_what_opens_a_door_is_a_secret_and_nothing_else() -> None:
    secrets = {
        name
        for schema in objects(SCHEMA)
        for name, field in schema.get("properties", {}).items()
        if field.get("airbyte_secret")
    }
    assert secrets == {"password", "client_key", "client_key_password", "ssh_key", "tunnel_user_password"}


def test_every_required_field_exists_and_none_asks_to_be_shown_as_an_optional_one_may() -> None:
    for schema in objects(SCHEMA):
        if isinstance(required := schema.get("required"), list):
            fields = [schema["properties"][name] for name in required]
            assert not [field for field in fields if "always_show" in field]


def test_no_feature_that_the_form_cannot_draw_is_used() -> None:
    forbidden = {"$ref", "not", "anyOf", "allOf", "patternProperties", "prefixItems", "if", "then", "else"}
    forbidden |= {"dependentSchemas", "dependentRequired"}
    for schema in objects(SCHEMA):
        assert not forbidden & set(schema)
        assert schema.get("additionalProperties", True) is True
        assert isinstance(schema.get("type", ""), str)
        if schema.get("type") == "object":
            assert schema.get("properties") or schema.get("oneOf")
        assert "display_type" not in schema or "oneOf" in schema
    assert SCHEMA["additionalProperties"] is True


def test_the_variants_of_a_choice_share_one_constant() -> None:
    choices = [schema for schema in objects(SCHEMA) if "oneOf" in schema]
    assert choices
    for choice in choices:
        assert choice["type"] == "object"
        shared: set[str] = set.intersection(*(set(variant["properties"]) for variant in choice["oneOf"]))
        constant = [
            name
            for name in shared
            if all("const" in variant["properties"][name] for variant in choice["oneOf"])
        ]
        assert len(constant) == 1
        for variant in choice["oneOf"]:
            field = variant["properties"][constant[0]]
            assert variant["title"]
            assert field.get("default", field["const"]) == field["const"]
            assert "enum" not in field


def test_enumerations_hold_their_default_and_no_value_twice() -> None:
    for schema in objects(SCHEMA):
        if isinstance(values := schema.get("enum"), list):
            assert len(set(values)) == len(values)
            assert schema["default"] in values


def test_examples_are_valid_values() -> None:
    for field in PROPERTIES.values():
        for example in field.get("examples", []):
            jsonschema.validate(example, field)
