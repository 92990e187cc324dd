"""The loggers under test, one module each, all with the same interface: see :mod:`benchmarks.peers.interface`."""
