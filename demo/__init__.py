"""A whole replication on the embedded database, told in a terminal: `python -m demo`."""
