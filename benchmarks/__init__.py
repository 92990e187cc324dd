"""The benchmark suite: fapilog beside other loggers, in fresh processes that take turns.

``python -m benchmarks --help`` says what there is to run; docs/performance.md shows what came out.
"""
