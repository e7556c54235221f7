"""What the package gives to those who import it."""

from __future__ import annotations

import pytest

import source_planetscale
from source_planetscale import source


def test_the_package_gives_the_source_and_nothing_that_it_does_not_have() -> None:
    assert source_planetscale.SourcePlanetscale is source.SourcePlanetscale
    with pytest.raises(AttributeError, match="module 'source_planetscale' has no attribute 'Destination'"):
        source_planetscale.Destination  # noqa: B018 - reading it is the test
