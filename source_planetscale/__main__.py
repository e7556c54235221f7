"""`python -m source_planetscale` is the same as the command `source-planetscale`."""

from source_planetscale.run import run

run()
