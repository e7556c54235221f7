"""Tests of the embedded database itself."""
