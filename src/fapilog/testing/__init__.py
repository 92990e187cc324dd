"""What helps to test programs that log."""
