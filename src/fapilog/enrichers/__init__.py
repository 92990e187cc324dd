"""The built-in enrichers."""
