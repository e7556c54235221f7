"""Airbyte source that replicates PlanetScale and self-hosted Vitess databases."""
