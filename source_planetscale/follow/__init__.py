"""Following cursors to a position: which can be followed, attempts and retries, and what ends them."""
