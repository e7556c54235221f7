"""Airbyte source that replicates PlanetScale and self-hosted Vitess databases."""

from source_planetscale.source import SourcePlanetscale

__all__ = ["SourcePlanetscale"]
