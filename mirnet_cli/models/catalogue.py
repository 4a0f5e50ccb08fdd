"""The models there are: what each is for, whose it is, where its file is, whether it is intact.

The catalogue is data (``catalogue.toml``); adding a model is one entry. Reading it needs neither
numpy nor any other heavy library.
"""

import functools
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from mirnet_cli import installation, settings
from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.files import reason
from mirnet_cli.models import hub, trust_store

TASKS = ("denoise", "enhance", "upscale")
"""What a network can be for."""

DEFOCUS = "defocus"
"""The task of networks for the two views of a dual-pixel sensor; no command does it."""

SCALES = (1, 2, 3, 4)
"""Sides of the output over sides of the input that ``upscale`` offers."""

CONTEXTS = ("whole", "sample", "refine", "tile")
"""How tiles can be made to agree with the whole; see :mod:`mirnet_cli.restore.context`."""

_T = TypeVar("_T")
_PACKAGE = Path(__file__).resolve().parents[1]
_FILE = Path(__file__).resolve().with_name("catalogue.toml")
_TEXTS = ("repository", "revision", "url", "page", "licence_url", "note", "context")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "shipped": (),
    "hub": ("repository", "revision"),
    "url": ("url", "licence_url"),
    "manual": ("page",),
}
"""The sources there are, and what an entry has to say of each."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What a model's name may look like: it names files too."""


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue.

    Attributes:
        name: what ``--model`` takes; also the stem of the weights' file and of the card.
        title: what it is for, in a few words.
        task: one of :data:`TASKS`.
        scales: sides of the output over sides of the input, ascending.
        family: key of :data:`mirnet_cli.networks.FAMILIES`.
        file: the file's name in the folder of its source.
        sha256: of the file, in hexadecimal; empty where nobody has published it: then what came
            first is what later ones are held to.
        bytes: the file's size; 0 where it is not known.
        licence: of the weights, as an SPDX expression where there is one.
        commercial: whether the licence allows commercial use.
        source: ``"shipped"`` for files that come with mirnet, ``"hub"`` for those on the Hugging
            Face Hub, ``"url"`` for others that can be fetched, ``"manual"`` for what only people
            can fetch.
        default_for: :func:`default_key` values whose default this is.
        scores: set of pictures -> figure -> value (PSNR in dB, SSIM in 0..1).
        repository, revision: on the Hub; the revision is a commit.
        url: of the file.
        page: where people find it, or read about it.
        licence_url: where the licence stands.
        note: what one should know of it.
        context: how tiles are made to agree with the whole, where measurements since have chosen
            otherwise than the file says.
    """

    name: str
    title: str
    task: str
    scales: tuple[int, ...]
    family: str
    file: str
    sha256: str
    bytes: int
    licence: str
    commercial: bool
    source: str
    default_for: tuple[str, ...]
    scores: Mapping[str, Mapping[str, float]]
    repository: str = ""
    revision: str = ""
    url: str = ""
    page: str = ""
    licence_url: str = ""
    note: str = ""
    context: str = ""

    @property
    def shipped(self) -> bool:
        """Whether the file comes with mirnet."""
        return self.source == "shipped"

    def as_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["scales"] = list(self.scales)
        values["default_for"] = list(self.default_for)
        values["scores"] = {name: dict(figures) for name, figures in self.scores.items()}
        return values


@dataclass(frozen=True)
class VerifyResult:
    """What :func:`verify` found.

    Attributes:
        state: ``"intact"``, ``"missing"``, ``"changed"`` (other bytes than the catalogue says)
            or ``"unreadable"``.
        path: where the file is, or would be.
        sha256: what the file has, in hexadecimal; ``None`` where it could not be read.
        what, remedy: the problem and what to do about it; empty where the file is intact.
    """

    model: Model
    path: Path
    state: Literal["intact", "missing", "changed", "unreadable"]
    sha256: str | None = None
    what: str = ""
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether the file is exactly the one the catalogue means."""
        return self.state == "intact"

    def error(self) -> ModelError:
        """The problem as an error to raise."""
        return ModelError(self.what, self.remedy, subject=self.path)

    def as_dict(self) -> dict[str, Any]:
        """JSON-like values; the model by its name."""
        return {
            "name": self.model.name,
            "state": self.state,
            "path": str(self.path),
            "sha256": self.sha256,
            "expected_sha256": self.model.sha256,
            "what": self.what,
            "remedy": self.remedy,
        }


def read(path: Path) -> tuple[Model, ...]:
    """Parse a catalogue.

    Raises:
        ValueError: where the file breaks its own rules; the shipped one is tested not to.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    models = tuple(_parse(name, entry) for name, entry in table.items())
    taken: dict[str, str] = {}
    for model in models:
        for key in model.default_for:
            if key in taken:
                raise ValueError(f"{model.name} and {taken[key]} are both the default for {key}")
            taken[key] = model.name
    return models


@functools.cache
def entries() -> tuple[Model, ...]:
    """The models of the catalogue that comes with this version, in its order."""
    return read(_FILE)


def find(name: str) -> Model:
    """The entry of that name.

    Raises:
        ModelError: where there is none.
    """
    for model in entries():
        if model.name == name:
            return model
    import difflib

    names = [model.name for model in entries()]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names) or 'none'}"
    remedy = f"{hint} (mirnet models list)"
    if "/" in name or "\\" in name or name.endswith((".safetensors", ".pth", ".pt")):
        remedy = "--model takes the name of a known model; for a file use --weights"
    raise ModelError("no model of that name", remedy, subject=name)


def default_key(task: str, scale: int | None = None) -> str:
    """What ``default_for`` calls a task: ``"denoise"``, ``"upscale-x2"`` (2 unless said)."""
    return f"upscale-x{2 if scale is None else scale}" if task == "upscale" else task


def default(task: str, scale: int | None = None) -> Model:
    """The model that a task uses when none is named.

    Raises:
        ModelError: where the catalogue has none.
    """
    key = default_key(task, scale)
    for model in entries():
        if key in model.default_for:
            return model
    raise ModelError(
        "this version of mirnet ships no weights for it",
        "name a model or a file with --model or --weights, or update mirnet",
        subject=key,
    )


def weights_folder() -> Path:
    """The folder of shipped weights: inside an installed package, beside it in a checkout."""
    inside = _PACKAGE / "weights"
    return inside if inside.is_dir() else _PACKAGE.parent / "weights"


def path_of(model: Model) -> Path:
    """Where the model's file is, whether or not it exists."""
    if model.shipped:
        return weights_folder() / model.file
    if model.source == "hub":
        return hub.path_of(address_of(model))
    return settings.cache_folder() / "models" / model.name / model.file


def known_path(model: Model) -> Path | None:
    """Where the model's file is, or would be; None where no cache folder is known."""
    try:
        return path_of(model)
    except UsageError:
        return None


def address_of(model: Model) -> hub.Address:
    """Where the model is on the Hub, for those whose source that is."""
    return hub.Address(model.repository, model.file, model.revision)


def expected_sha256(model: Model) -> str | None:
    """What the file's hash has to be: the catalogue's, or that of the first download."""
    return model.sha256 or trust_store.first(model.url)


def missing(model: Model) -> ModelError:
    """Why the model's file is not here and what to do about it, as an error to raise."""
    if model.shipped:
        return ModelError(
            "the weights are not on this machine", reinstall(), subject=path_of(model)
        )
    if model.source == "manual":
        what = "has to be downloaded by hand"
        remedy = (
            f"get {model.file} from {model.page}, then use --weights {model.file}, or "
            "'mirnet models convert'"
        )
        return ModelError(what, remedy, subject=model.name)
    return ModelError(
        "not here yet", f"fetch it with 'mirnet models download {model.name}'", subject=model.name
    )


def card_path(model: Model) -> Path | None:
    """The model's card (Markdown), or ``None`` where there is none."""
    path = weights_folder() / f"{model.name}.md"
    return path if path.is_file() else None


def verify(model: Model) -> VerifyResult:
    """Hash the model's file and compare; never raise for what is wrong with the file."""
    path = path_of(model)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        error = missing(model)
        return VerifyResult(model, path, "missing", None, error.what, error.remedy)
    except OSError as error:
        what = f"the weights cannot be read ({reason(error)})"
        return VerifyResult(model, path, "unreadable", None, what, "check the file's permissions")
    return compare(model, path, found)


def compare(model: Model, path: Path, sha256: str) -> VerifyResult:
    """Compare a hash that was taken of ``path`` with the catalogue's."""
    expected = expected_sha256(model)
    if sha256 == expected:
        return VerifyResult(model, path, "intact", sha256)
    said = "the catalogue" if model.sha256 else "the first download"
    what = f"not intact: sha256 is {sha256[:12]}…, {said} says {(expected or 'nothing')[:12]}…"
    remedy = reinstall()
    if not model.shipped:
        remedy = f"fetch it again with 'mirnet models download --force {model.name}'"
    return VerifyResult(model, path, "changed", sha256, what, remedy)


def reinstall() -> str:
    """What to do where a shipped file is missing or changed."""
    return f"restore it with git in a checkout, or {installation.install_again()}"


def _parse(name: str, entry: Any) -> Model:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no model name")
    if not isinstance(entry, dict):
        raise ValueError(f"{name} is no table")
    known = {field for field in Model.__dataclass_fields__ if field != "name"}
    if unknown := sorted(set(entry) - known):
        raise ValueError(f"{name} has the unknown key {unknown[0]}")
    shipped = entry.get("source") == "shipped"
    try:
        model = Model(
            name=name,
            title=_typed(entry["title"], str),
            task=_typed(entry["task"], str),
            scales=tuple(_typed(scale, int) for scale in entry["scales"]),
            family=_typed(entry["family"], str),
            file=_typed(entry["file"], str),
            sha256=_typed(entry["sha256"] if shipped else entry.get("sha256", ""), str),
            bytes=_typed(entry["bytes"] if shipped else entry.get("bytes", 0), int),
            licence=_typed(entry["licence"], str),
            commercial=_typed(entry.get("commercial", True), bool),
            source=_typed(entry["source"], str),
            default_for=tuple(_typed(key, str) for key in entry.get("default_for", ())),
            scores=MappingProxyType(
                {
                    pictures: MappingProxyType({k: float(v) for k, v in figures.items()})
                    for pictures, figures in entry.get("scores", {}).items()
                }
            ),
            **{name: _typed(entry[name], str) for name in _TEXTS if name in entry},
        )
    except KeyError as error:
        raise ValueError(f"{name} lacks {error.args[0]}") from None
    _check(model)
    return model


def _typed(value: object, kind: type[_T]) -> _T:
    # Not isinstance: true is an integer there.
    if type(value) is not kind:
        raise ValueError(f"{value!r} should be of type {kind.__name__}")
    return value


def _check(model: Model) -> None:
    if model.task not in (*TASKS, DEFOCUS):
        raise ValueError(f"{model.name}: unknown task {model.task!r}")
    allowed = SCALES if model.task == "upscale" else (1,)
    if not model.scales or not set(model.scales) <= set(allowed):
        raise ValueError(f"{model.name}: scales {model.scales} do not suit {model.task}")
    if (model.sha256 or model.source in ("shipped", "hub")) and not _SHA256.fullmatch(model.sha256):
        raise ValueError(f"{model.name}: sha256 is not 64 hexadecimal digits")
    if Path(model.file).name != model.file:
        raise ValueError(f"{model.name}: file must be a plain name")
    if model.source not in _NEEDED:
        raise ValueError(f"{model.name}: unknown source {model.source!r}")
    for field in _NEEDED[model.source]:
        if not getattr(model, field):
            raise ValueError(f"{model.name}: the source {model.source} needs {field}")
    if model.context and model.context not in CONTEXTS:
        raise ValueError(f"{model.name}: unknown context {model.context!r}")
    if model.revision and not _COMMIT.fullmatch(model.revision):
        raise ValueError(f"{model.name}: revision is no commit of 40 digits")
    if model.url and not model.url.startswith("https://"):
        raise ValueError(f"{model.name}: url does not begin with https://")
    if model.default_for and not model.shipped:
        raise ValueError(f"{model.name} is not shipped, so it is no default")
    if model.default_for and not model.commercial:
        raise ValueError(f"{model.name} may not be used for anything, so it is no default")
    for key in model.default_for:
        if key not in {default_key(model.task, scale) for scale in model.scales}:
            raise ValueError(f"{model.name} cannot be the default for {key}")
