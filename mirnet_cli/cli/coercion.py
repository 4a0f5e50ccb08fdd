"""From what was typed to values, where that needs no library.

Typer leaves it to pydantic, whose import takes as long as OpenCV's. What options here take is said
by their own parsers; the rest are words. Whatever is not plain, wrong values among them, is left to
Typer, which words the errors.
"""

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

_UNKNOWN = object()


def plainly(parameter: Any) -> Any:
    """Have a parameter of Typer's take plain values as they are; returns it."""
    usual = getattr(parameter, "get_runtime_param", None)
    if usual is not None and not isinstance(usual, _Plain):
        parameter.get_runtime_param = _Plain(usual)
    return parameter


class _Plain:
    """Stands for what Typer makes of a parameter, which is made when it is needed."""

    def __init__(self, usual: Callable[[], Any]) -> None:
        self._usual = usual

    def __call__(self) -> "_Plain":
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value of an option or argument."""
        plain = _plain(value, param)
        if plain is _UNKNOWN:
            return self._usual().coerce(value, param=param, ctx=ctx)
        return plain


def _plain(value: Any, parameter: Any) -> Any:
    """What a value is without more ado, if that is known."""
    several = parameter.multiple or parameter.nargs == -1
    if value is None:
        return () if several else None
    if not several and not isinstance(value, str):
        # A default has its type already.
        return value if value is parameter.default else _UNKNOWN
    kind = parameter.type_descriptor.annotation
    parse = parameter.type_descriptor.parameter_info.parser
    if several:
        strings = isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)
        return list(value) if strings and parse is None and kind == list[str] else _UNKNOWN
    if parse is not None:
        try:
            return parse(value)
        except Exception:
            return _UNKNOWN
    if get_origin(kind) is Literal:
        return value if value in get_args(kind) else _UNKNOWN
    return value if kind is str else _UNKNOWN
