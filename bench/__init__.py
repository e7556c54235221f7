"""Speed and memory, measured side by side; nothing of it decides a test."""
