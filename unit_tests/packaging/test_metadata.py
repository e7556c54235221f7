from __future__ import annotations

import json
import re
import sys
import uuid
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import yaml

from unit_tests.packaging.project import poetry, text

PREDECESSOR = "https://github.com/planetscale/airbyte-source"


@pytest.fixture
def data() -> dict[str, Any]:
    section: dict[str, Any] = yaml.safe_load(text("metadata.yaml"))["data"]
    return section


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="airbyte-connector-models needs Python < 3.13")
def test_the_metadata_is_valid_by_airbytes_published_models() -> None:
    from airbyte_connector_models.metadata.v0 import connector_metadata_definition_v0 as models

    models.ConnectorMetadataDefinitionV0.model_validate(yaml.safe_load(text("metadata.yaml")))


def test_the_definition_id_is_derived_from_the_existing_connectors_address(data: dict[str, Any]) -> None:
    assert uuid.UUID(data["definitionId"]) == uuid.uuid5(uuid.NAMESPACE_URL, PREDECESSOR)


def test_one_version_stands_everywhere(data: dict[str, Any]) -> None:
    version = poetry()["version"]
    assert data["dockerImageTag"] == version
    assert f"io.airbyte.version={version}" in text("Dockerfile")
    assert re.search(rf"^## {re.escape(version)}$", text("CHANGELOG.md"), re.MULTILINE)
    assert re.search(rf"^\| {re.escape(version)} \|", text("docs/planetscale.md"), re.MULTILINE)


def test_one_licence_stands_everywhere(data: dict[str, Any]) -> None:
    assert data["license"] == poetry()["license"] == "MIT"
    assert text("LICENSE").startswith("MIT License")


def test_the_published_package_is_this_one(data: dict[str, Any]) -> None:
    assert data["remoteRegistries"]["pypi"] == {"enabled": True, "packageName": poetry()["name"]}


def test_the_base_image_is_the_dockerfiles(data: dict[str, Any]) -> None:
    assert f"ARG BASE_IMAGE={data['connectorBuildOptions']['baseImage']}\n" in text("Dockerfile")


def test_allowed_hosts_name_a_field_of_the_spec(data: dict[str, Any]) -> None:
    spec = json.loads(text("source_planetscale/spec.json"))["connectionSpecification"]
    for host in data["allowedHosts"]["hosts"]:
        name, _, inner = host.removeprefix("${").removesuffix("}").partition(".")
        variants = spec["properties"][name].get("oneOf", [])
        assert not inner or any(inner in variant["properties"] for variant in variants)


def test_the_icon_is_a_square_of_250() -> None:
    # The project's own file, so the plain parser is safe.
    icon = ET.fromstring(text("icon.svg"))  # noqa: S314
    assert (icon.get("width"), icon.get("height"), icon.get("viewBox")) == ("250", "250", "0 0 250 250")
