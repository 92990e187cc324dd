"""What the suite measures, one module for each part.

A part has ``ROUNDS``; ``cases(selection)``, what to run in turn; and ``tables(cases)``, which shows what was found as
Markdown. A part whose cases are not tasks in a process of their own has ``run(case)`` too.
"""
