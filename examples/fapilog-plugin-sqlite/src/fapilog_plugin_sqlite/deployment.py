"""The enricher ``deployment``: adds what was deployed to each event's context."""

from __future__ import annotations

import os
from functools import cache

from fapilog import LogEvent


def deployment(event: LogEvent) -> dict[str, dict[str, str]]:
    """Return what to add to the context of *event*."""
    return _deployment()


@cache
def _deployment() -> dict[str, dict[str, str]]:
    # Once: looking into the environment for each event would take longer than the rest of the enricher.
    variables = {"environment": "DEPLOYMENT_ENVIRONMENT", "version": "DEPLOYMENT_VERSION"}
    found = {key: value for key, variable in variables.items() if (value := os.environ.get(variable))}
    return {"deployment": found} if found else {}
