"""Tests that run the command against databases, in folders by what they promise.

- `protocol/`: what the command says, as Airbyte's protocol and the form want it; its life as a process.
- `state/`: checkpoints, and saved states of every kind.
- `jobs/`: attempts of jobs, refreshes and clears, as Airbyte's platform makes them.
- `changes/`: rows and changes, and the columns that order them.
- `values/`: every MySQL type.
- `schema/`: discovery, and tables that change.
- `faults/`: right rows, or INCOMPLETE and why.
- `replica/`: whatever happens, a destination equals its source.
- `package/`: the image's steps, the README, the demo.
- `support/`: running the command, a destination, tables; for the demo and the bench as well.
- `vitess/`: a real Vitess; the other database is the package `embedded_database`. The fixture `database`
  gives one after the other.
"""
