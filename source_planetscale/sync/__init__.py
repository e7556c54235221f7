"""One sync in Airbyte's terms: streams, slices and states over threads that follow the shards."""
