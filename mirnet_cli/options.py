"""How an option is declared: one field of a frozen dataclass, with its default, parser and words.

The command line, the environment, Python, the journal of a batch and its workers all take the
dataclasses whole. They stand where their options are used: :mod:`mirnet_cli.photo.options`,
:mod:`mirnet_cli.restore.options`, :mod:`mirnet_cli.batches.plan`.
"""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, wraps
from typing import Any, ParamSpec, Self, TypeVar, cast, get_type_hints

from mirnet_cli.errors import MirnetError, UsageError

WHICH = "Which photos"
WHERE = "Where it goes"
HOW = "How it looks"
WEIGHTS = "Weights"
COMPUTING = "Computing"


@dataclass(frozen=True)
class Setting:
    """What is said of an option beside its name, type and default.

    Attributes:
        help: what it does, in a line.
        panel: under which heading; None is the last.
        metavar: how its value is written.
        parse: what the user wrote, or a value, to the value; ValueError says what is wrong with it.
        flags: on the command line; ``--`` and the field's name by default.
        variable: whether an environment variable may set it.
        alters: whether another value makes another result.
    """

    help: str
    panel: str | None = None
    metavar: str | None = None
    parse: Callable[[Any], Any] | None = None
    flags: tuple[str, ...] = ()
    variable: bool = True
    alters: bool = True


@dataclass(frozen=True)
class Options:
    """Base of the dataclasses of options, whose values are parsed and checked as they are made.

    Raises:
        UsageError: for a value that is none.
    """

    def __post_init__(self) -> None:
        """Parse the values; None stands where it is the default."""
        for name, setting in declared(type(self)).items():
            value = getattr(self, name)
            if setting.parse is None or (
                value is None and self.__dataclass_fields__[name].default is None
            ):
                continue
            try:
                object.__setattr__(self, name, setting.parse(value))
            except (TypeError, ValueError, OverflowError) as error:
                flag = (setting.flags or (f"--{name.replace('_', '-')}",))[0].partition("/")[0]
                raise UsageError(str(error), subject=flag) from error

    @classmethod
    def of(cls, options: Self | None, named: Mapping[str, Any]) -> Self:
        """Take ``options`` with the values of ``named``; the defaults where there are none.

        Raises:
            UsageError: there is no such option, or no such value.
        """
        try:
            if options is None:
                return cls(**named)
            return replace(options, **named) if named else options
        except TypeError as error:
            what = str(error).partition("() ")[2] or str(error)
            raise UsageError(what, f"see help(mirnet_cli.{cls.__name__})") from error

    def part(self, kind: "type[_Kind]", **named: Any) -> "_Kind":
        """Those options that are of ``kind`` too, some with the values of ``named``."""
        own = {field.name: getattr(self, field.name) for field in fields(kind)}
        return kind(**(own | named))

    def given(self) -> dict[str, Any]:
        """The values that are not the defaults."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }


_Kind = TypeVar("_Kind", bound=Options)


def like(kind: type, name: str, panel: str | None = None, help: str | None = None) -> Setting:
    """What is said of an option of another dataclass, perhaps under another heading or reworded."""
    said = declared(kind)[name]
    return replace(said, panel=panel or said.panel, help=help or said.help)


def declared(kind: type) -> dict[str, Setting]:
    """What is said of each option of a dataclass, by the field's name."""
    return _declared(cast(Hashable, kind))


@cache
def _declared(kind: Any) -> dict[str, Setting]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: each
        for field in fields(kind)
        for each in getattr(hints[field.name], "__metadata__", ())
        if isinstance(each, Setting)
    }


_P = ParamSpec("_P")
_R = TypeVar("_R")

_FLAG = re.compile(
    r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)"
    r"(?:[ =]((?:\d|cpu|cuda|torch|openvino|onnxruntime|directml|fp\d|png|tif|jpg|gpu)\w*)\b)?"
)
_OUTPUT = re.compile(r"(?<![\w-])-o\b")
_SWITCHES = {"overwrite", "strip", "preserve", "ensemble", "recursive", "retry_failed"}


def as_arguments(text: str, output: str) -> str:
    """A message in terms of Python: ``--max-memory 4G`` becomes ``max_memory="4G"``.

    Args:
        text: with options of the command line.
        output: the argument that stands for ``-o``.
    """
    return _OUTPUT.sub(output, _FLAG.sub(_argument, text))


def _argument(found: re.Match[str]) -> str:
    name, value = found[1].replace("-", "_"), found[2]
    if value is not None:
        return f"{name}={value}" if value.isdigit() else f'{name}="{value}"'
    return f"{name}=True" if name in _SWITCHES else name


def in_python(output: str = "output") -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let the errors of a public function name its arguments, not the options of commands.

    Args:
        output: the argument that stands for ``-o``.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def call(*args: _P.args, **named: _P.kwargs) -> _R:
            try:
                return function(*args, **named)
            except MirnetError as error:
                error.reword(lambda text: as_arguments(text, output))
                raise

        return call

    return decorate
