"""Mutations of what keeps secrets."""

from __future__ import annotations

from .mutation import ASGI_TOLD, PUMPS, REDACTOR, ROUTING, SINK_REDACTORS, STAGES, Mutation, outside, without

REDACTION: tuple[Mutation, ...] = (
    without("withholding after a failed redactor", "steps", "        withhold(event)\n", STAGES, new="        pass\n"),
    without("withholding of the message", "steps", "event.message = WITHHELD", STAGES),
    without("withholding of fields and context", "steps", "event.fields = event.context = EMPTY", STAGES),
    without("withholding of tags and metrics", "steps", "event.tags = event.metrics = EMPTY", STAGES),
    without("withholding of the exception", "steps", "event.exception = None", STAGES),
    without("withholding of the correlation id", "steps", 'event.correlation_id = ""', STAGES),
    without(
        "refusal of another event from a redactor",
        "steps",
        "if result is not None and result is not event:",
        STAGES,
        new="if False:",
    ),
    without(
        "redaction as the last stage",
        "pipeline",
        '    ("redactors", "redact", RedactorStep),\n)',
        STAGES,
        new=')\n_STEPS = (("redactors", "redact", RedactorStep), *_STEPS)',
    ),
    without(
        "copies for a sink's own redactors",
        "redaction",
        "[event.copy() for event in events]",
        SINK_REDACTORS,
        new="list(events)",
    ),
    without(
        "redaction of what a sink that did not start passes on",
        "delivery",
        "            if self._redaction is not None and not write.redacted:\n                # What was not",
        SINK_REDACTORS,
        new="            if False:\n                # What was not",
    ),
    without(
        "redaction before a synchronous sink's write",
        "delivery",
        "        if self._redaction is not None:\n            return False\n",
        SINK_REDACTORS,
        new="",
    ),
    without("sealing of events after redaction", "fanout", "event._sealed = True", STAGES),
    without(
        "closing of the door to a redactor that is late", "steps", "        progress.closed = True\n", STAGES, new=""
    )._replace(excuse="a second line of defence: a plugin that was given up has been closed, and does not run again"),
    without(
        "copies for sinks with a route",
        "routing",
        "[event.copy() for event in cast",
        ROUTING,
        new="[event for event in cast",
    ),
    without("sealing of copies for a sink's own redactors", "redaction", "copied._sealed = True", SINK_REDACTORS),
    without("sealing of a route's events", "routing", "            event._sealed = True\n", ROUTING, new=""),
    without("noting of a sink's own redactor's failure", "redaction", "self.failed_at.append(event)", SINK_REDACTORS),
    outside(
        "hiding of what was not tried",
        "redactors/_texts",
        "            inside.append(rest)",
        PUMPS,
        new="            pass",
    ),
    outside(
        "hiding of what a finder alone did not try",
        "redactors/_detectors",
        "            found.append(rest)",
        PUMPS,
        new="            pass",
    ),
    outside(
        "hiding beyond the longest text",
        "redactors/_pass",
        "            rest = engine.replacements.mask\n",
        REDACTOR,
        new="",
    ),
    outside(
        "hiding after the time limit",
        "redactors/_pass",
        "if perf_counter() > self._deadline:",
        REDACTOR,
        new="if False:",
    ),
    outside(
        "hiding of what is too deep",
        "redactors/_pass",
        "if depth >= self._engine.limits.depth:",
        REDACTOR,
        new="if False:",
    ),
    outside(
        "hiding of what is too much",
        "redactors/_pass",
        "        if self._values < 0:\n",
        REDACTOR,
        new="        if False:\n",
    ),
    outside(
        "masking of a value whose redaction fails",
        "redactors/_pass",
        "                new_value = self._unseen(ERROR, (path, new_key))",
        REDACTOR,
        new="                new_value = value",
    ),
    outside(
        "masking of a header",
        "integrations/_secret_names",
        "return MASK if self.is_secret(name) else self.text(value)",
        ASGI_TOLD,
        new="return self.text(value)",
    ),
    outside(
        "masking of a parameter",
        "integrations/_secret_names",
        'return f"{name}={MASK}" if hides else parameter',
        ASGI_TOLD,
        new="return parameter",
    ),
)
