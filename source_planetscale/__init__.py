"""Airbyte source that replicates PlanetScale and self-hosted Vitess databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source_planetscale.source import SourcePlanetscale

__all__ = ["SourcePlanetscale"]


def __getattr__(name: str) -> Any:
    # The CDK takes a second to import, and what reads with the core alone needs none of it.
    if name == "SourcePlanetscale":
        from source_planetscale.source import SourcePlanetscale

        return SourcePlanetscale
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
