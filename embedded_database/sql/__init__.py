"""The MySQL port: sessions, and statements that SQLite evaluates."""
