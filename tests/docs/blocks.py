"""The fenced blocks of the documents, and how their commands are run.

``sh`` blocks are run, ``console`` blocks (``$ command`` and what it prints) too, and their output
is compared; ``…`` there stands for anything. A block whose title says that it needs something which
is not here (:data:`NEEDS`) is not run: only its commands' options are looked at.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

NEEDS = (
    "needs a cluster",
    "needs a GPU",
    "needs Docker",
    "needs photos of your own",
    "needs the internet",
    "takes hours",
    "takes minutes",
)
"""Titles of blocks that are not run."""

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]*)(?: title=\"(?P<title>[^\"]*)\")?\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
# Blocks that .ci/run takes from the README and runs in an environment of their own.
_BY_CI = re.compile(r"<!-- [a-z]+ -->\n$")

_COMMAND = re.compile(r"(?:^|[\s/;|&(`])(mirnet [a-z][^#\n|&<>;)`]*)")
_SHELL = re.compile(r"[|<>;&$]|^[A-Z_]+=|^(?!mirnet )")
_LOOP = re.compile(r"^(?:for|while|if)\b.*?^(?:done|fi)\b[^\n]*\n", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: str
    line: int
    language: str
    title: str
    text: str
    by_ci: bool

    @property
    def runs(self) -> bool:
        return not self.title and not self.by_ci

    @property
    def commands(self) -> list[str]:
        """Every call of mirnet in it, without what the shell does around it.

        Those of a console block whose output is shown are not among them: they are run.
        """
        if self.language == "console":
            return []
        text = re.sub(r"\$\{\w+\}", "1", self.text.replace("\\\n", " "))
        return [found.strip().rstrip("'\"") for found in _COMMAND.findall(text)]

    def steps(self) -> Iterator[tuple[str, str | None]]:
        """Each command, and in a console what it should print."""
        if self.language == "console":
            for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield command, output
            return
        rest = self.text.replace("\\\n", " ")
        while rest:
            found = _LOOP.match(rest)
            line = found[0] if found else rest.partition("\n")[0] + "\n"
            rest = rest[len(line) :]
            if line.strip() and not line.lstrip().startswith("#"):
                yield line.strip(), None


def pages() -> list[Path]:
    """What people read."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "RELEASING.md")]
    return [*top, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "weights").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=str(page.relative_to(ROOT)),
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            title=found["title"] or "",
            text=re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            by_ci=bool(_BY_CI.search(text[: found.start()])),
        )
        for found in _FENCE.finditer(text)
    ]


def is_for_a_shell(command: str) -> bool:
    """Whether there is more to it than one call of mirnet with its arguments."""
    return bool(_SHELL.search(command.partition(" #")[0]))


def words(command: str) -> list[str]:
    """A command as the program gets it, without ``mirnet`` and comments."""
    return shlex.split(command, comments=True)[1:]


def agrees(printed: str, expected: str) -> bool:
    """Whether output is as a document shows it; ``…`` stands for anything, also for lines."""
    pattern = "".join(
        ".*?" if part == "…" else re.escape(part) for part in re.split("(…)", expected.strip())
    )
    printed = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(pattern, printed, re.DOTALL) is not None
