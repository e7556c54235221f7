"""The statements of DDL events: which tables they change, how, and the shape that follows.

`parse` reads a statement, `touches` tells which tables of a stream it may concern, `apply` works out the
shape of a table after it. No text makes any of them raise; what cannot be known is said to be so.
"""

from __future__ import annotations

from source_planetscale.ddl.apply import Altered, apply, holds
from source_planetscale.ddl.parse import parse
from source_planetscale.ddl.reader import TableName
from source_planetscale.ddl.statement import Effect, Statement, TableChange, touches

__all__ = ["Altered", "Effect", "Statement", "TableChange", "TableName", "apply", "holds", "parse", "touches"]
