"""Airbyte's PROTOBUF messages; see airbyte.proto."""
