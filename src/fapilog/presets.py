"""Presets: named tables of plain settings for common surroundings; whatever else is set wins over them."""

from __future__ import annotations

from typing import Any, Final

import attrs


@attrs.frozen
class Preset:
    """A name for a few settings, which are all that it stands for."""

    purpose: str
    """What it is for, in one sentence."""
    settings: dict[str, Any]


PRESETS: Final[dict[str, Preset]] = {
    "dev": Preset(
        "For a person at a terminal: everything is shown, with the place of each call.",
        {
            "level": "DEBUG",
            "sinks": ["console"],
            "callsite": True,
            "batch_linger": 0.0,
            "shutdown_timeout": 2.0,
        },
    ),
    "production": Preset(
        "For a service whose standard output is collected: no request waits long for its log, "
        "and the drain fits into the ten seconds that container engines wait before they kill.",
        {
            "level": "INFO",
            "sinks": ["stdout"],
            "overflow_strategy": "block",
            "block_timeout": 0.1,
            "shutdown_timeout": 8.0,
            "max_event_bytes": 65_536,
            "enrichers": ["runtime"],
            "redactors": ["redact"],
            "plugin_config": {"redact": {"presets": ["credentials", "pci_dss"]}},
        },
    ),
    "serverless": Preset(
        "For functions that are frozen or killed soon after they answer: events leave at once, "
        "the queue is small and the drain is short.",
        {
            "level": "INFO",
            "sinks": ["stdout"],
            "batch_linger": 0.0,
            "queue_max_size": 2_000,
            "block_timeout": 0.5,
            "shutdown_timeout": 1.5,
            "max_event_bytes": 65_536,
            "enrichers": ["runtime"],
            "redactors": ["redact"],
            "plugin_config": {"redact": {"presets": ["credentials", "pci_dss"]}},
        },
    ),
    "hardened": Preset(
        "For surroundings where a lost or oversized record is an incident: callers wait rather than lose events, "
        "a drain that does not finish is an error, and no single event is large.",
        {
            "level": "INFO",
            "sinks": ["stdout"],
            "overflow_strategy": "block",
            "block_timeout": 5.0,
            "shutdown_timeout": 10.0,
            "on_incomplete": "raise",
            "max_event_bytes": 16_384,
            "plugin_timeout": 0.5,
            "redactors": ["redact"],
            "plugin_config": {"redact": {"presets": ["credentials", "pci_dss", "gdpr_pii", "hipaa_phi"]}},
        },
    ),
}
"""Every preset by its name."""
