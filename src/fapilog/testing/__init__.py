"""What helps to test programs that log, and plugins: sinks that record or fail, faulty files, virtual time, checks.

The pytest plugin is found by pytest itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .captured import CapturedLogs as CapturedLogs
    from .clock import VirtualTimeLoop as VirtualTimeLoop
    from .clock import run_in_virtual_time as run_in_virtual_time
    from .clock import virtual_time as virtual_time
    from .conformance import ConformanceError as ConformanceError
    from .conformance import Violation as Violation
    from .conformance import check_plugin as check_plugin
    from .conformance import examine_plugin as examine_plugin
    from .faults import Fault as Fault
    from .faulty_file import FaultyFile as FaultyFile
    from .faulty_sink import FaultySink as FaultySink
    from .faulty_sink import PlainFaultySink as PlainFaultySink
    from .hosting import HostedContainer as HostedContainer
    from .recording import PlainRecordingSink as PlainRecordingSink
    from .recording import RecordingSink as RecordingSink
else:
    # pytest imports this package with every run, whether a test uses it or not.
    _LATER = {
        "CapturedLogs": ".captured",
        "ConformanceError": ".conformance",
        "Fault": ".faults",
        "FaultyFile": ".faulty_file",
        "FaultySink": ".faulty_sink",
        "HostedContainer": ".hosting",
        "PlainFaultySink": ".faulty_sink",
        "PlainRecordingSink": ".recording",
        "RecordingSink": ".recording",
        "Violation": ".conformance",
        "VirtualTimeLoop": ".clock",
        "check_plugin": ".conformance",
        "examine_plugin": ".conformance",
        "run_in_virtual_time": ".clock",
        "virtual_time": ".clock",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_LATER[name], __name__), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = (
    "CapturedLogs",
    "ConformanceError",
    "Fault",
    "FaultyFile",
    "FaultySink",
    "HostedContainer",
    "PlainFaultySink",
    "PlainRecordingSink",
    "RecordingSink",
    "Violation",
    "VirtualTimeLoop",
    "check_plugin",
    "examine_plugin",
    "run_in_virtual_time",
    "virtual_time",
)
