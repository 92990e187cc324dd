"""The oracle: judges from outside what a program under fault has written.

The program (`client`) derives each event's payload from its id, notes in a journal whether the event was accepted,
and leaves its ledger at the end. It runs in a process of its own (`launcher`, `trials`), where it can be killed,
stopped and forked. When it has ended, the judge (`judge`, or ``python -m oracle DIRECTORY``) compares journal, ledger
and output, which survive the program, with what the ids say. It does not import fapilog: it takes nobody's word.

A run has a directory: ``run`` holds the run's id, ``journal`` what the program noted, ``ledger-*.json`` its accounts;
beside them is what came out, and ``stdout`` and ``stderr``.
"""
