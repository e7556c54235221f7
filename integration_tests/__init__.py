"""Tests that run the command against databases."""
