"""The VStream messages: `vstream.proto` and the code that `make proto` generates from it."""
