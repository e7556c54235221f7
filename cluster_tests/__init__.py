"""Minutes on a real cluster of many processes: reshards, failovers and restarts under a connection.

`make cluster` runs them; the integration tests follow one reshard.
"""
