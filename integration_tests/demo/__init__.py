"""A whole replication on the embedded database, told in a terminal: `python -m integration_tests.demo`."""
