"""The errors a user can cause or meet, and the exit code of each.

Every error says in one line what is wrong and what to do about it. The command line prints that
line; a library user catches the class.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the ``mirnet`` command; a contract that scripts rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MODEL = 3
    INTERRUPTED = 130
    TERMINATED = 143


class MirnetError(Exception):
    """Base of all errors that are not bugs.

    Args:
        what: what is wrong, without a full stop ("not a picture this tool can read").
        remedy: what to do about it ("use a JPEG, PNG, WebP, TIFF or BMP file"); may be empty.
        subject: the file, option or model concerned; printed first.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, what: str, remedy: str = "", *, subject: object = None) -> None:
        self.what = what
        self.remedy = remedy
        self.subject = None if subject is None else str(subject)
        super().__init__(self.__str__())

    def reword(self, change: Callable[[str], str]) -> None:
        """Say the same in other words; of the subject only where it is an option."""
        self.what, self.remedy = change(self.what), change(self.remedy)
        if self.subject is not None and self.subject.startswith("-"):
            self.subject = change(self.subject)
        self.args = (self.__str__(),)

    def __reduce__(self) -> tuple[object, ...]:
        """Let it pass from process to process whole."""
        return _again, (type(self), self.what, self.remedy, self.subject)

    def __str__(self) -> str:
        text = f"{self.what}; {self.remedy}" if self.remedy else self.what
        return text if self.subject is None else f"{self.subject}: {text}"


class UsageError(MirnetError):
    """Wrong usage, known before any work."""

    exit_code = ExitCode.USAGE


class InputError(MirnetError):
    """An input is missing, unreadable or refused."""


class TransferError(InputError):
    """A store or server did not give an input; trying again may help."""


class OutputError(MirnetError):
    """An output exists already or cannot be written."""


class DiskFullError(OutputError):
    """No space (or quota) is left for an output; a batch stops at once."""


class OutOfMemoryError(MirnetError):
    """Memory does not suffice even at the smallest tile."""


class ResultError(MirnetError):
    """The network's result stays unusable (not finite) even in float32."""


class ModelError(MirnetError):
    """Weights or network: not found, not intact, refused."""

    exit_code = ExitCode.MODEL


class DownloadError(ModelError):
    """Weights could not be fetched."""


class LicenceError(ModelError):
    """The licence of the weights has not been accepted."""


def _again(kind: type[MirnetError], what: str, remedy: str, subject: str | None) -> MirnetError:
    return kind(what, remedy, subject=subject)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it: libraries wrap what is of interest."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
