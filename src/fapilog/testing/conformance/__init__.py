"""The conformance kit: one call runs a plugin through everything that the pipeline relies on."""

from .examine import check_plugin as check_plugin
from .examine import examine_plugin as examine_plugin
from .violations import CHECKS as CHECKS
from .violations import ConformanceError as ConformanceError
from .violations import Violation as Violation

__all__ = ("CHECKS", "ConformanceError", "Violation", "check_plugin", "examine_plugin")
