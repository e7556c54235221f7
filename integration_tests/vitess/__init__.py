"""Installs and runs a real Vitess, without containers, for tests and for trying things."""
