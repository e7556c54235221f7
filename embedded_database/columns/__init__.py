"""MySQL's types: what a column keeps of a value, and its bytes in the copy and in the binlog."""
