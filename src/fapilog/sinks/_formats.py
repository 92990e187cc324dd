"""The formats of which every sink that writes lines can be told one."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Format: TypeAlias = Literal["json", "json_flat", "logfmt", "console"]

FORMATS: tuple[str, ...] = get_args(Format)
