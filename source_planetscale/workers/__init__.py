"""Processes that read shards and lay out their rows, so that a sync can use more than one core."""
