"""What some tests need of the release of Vitess that they run on."""

from __future__ import annotations

import pytest

from integration_tests.vitess.releases import chosen_release

NEEDS_SCHEMA_RELOAD = pytest.mark.skipif(
    not chosen_release().reloads_schema, reason="the tablets of this release cannot reload their schema here"
)
