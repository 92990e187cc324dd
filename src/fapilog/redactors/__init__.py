"""The built-in redactors."""
