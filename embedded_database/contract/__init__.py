"""What a real Vitess does and the embedded database must do the same; every test runs on both."""
