"""What runs in the measured processes: one module for each task, with ``measure(options)``, async or not.

These modules import nothing but what they measure, so that the suite itself adds nothing to time and memory.
"""
