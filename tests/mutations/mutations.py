"""All the mutations, by kind."""

from __future__ import annotations

from .confirming import CONFIRMING
from .counters import COUNTERS
from .deadlines import DEADLINES
from .mutation import Mutation
from .others import OTHERS
from .redaction import REDACTION
from .shields import SHIELDS

KINDS: dict[str, tuple[Mutation, ...]] = {
    "Counters": COUNTERS,
    "Shields": SHIELDS,
    "Deadlines and bounds": DEADLINES,
    "Redaction": REDACTION,
    "Others": OTHERS,
    "Confirmed calls": CONFIRMING,
}
MUTATIONS: tuple[Mutation, ...] = tuple(mutation for mutations in KINDS.values() for mutation in mutations)
