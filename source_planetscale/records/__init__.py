"""Rows in Airbyte's form: record lines, batches of them, and the columns that the connector adds."""
