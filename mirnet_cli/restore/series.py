"""Photos that were shot together, so that all of them get the same light."""

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mirnet_cli.errors import MirnetError
from mirnet_cli.places import Place
from mirnet_cli.restore import light, photos

if TYPE_CHECKING:
    from mirnet_cli.restore.options import PhotoOptions
    from mirnet_cli.restore.restorer import Restorer

PAUSE = timedelta(minutes=10)
"""Photos of one camera with more than this between them were not shot together."""

_MAKE, _MODEL, _EXIF, _TAKEN = 0x010F, 0x0110, 0x8769, 0x9003


@dataclass(frozen=True)
class Shot:
    """What a photo asks for, and where it belongs.

    Attributes:
        source: the photo.
        asked: stops of light.
        camera: its maker and model; empty where the photo does not say.
        taken: when; None where the photo does not say.
    """

    source: Place
    asked: float
    camera: str = ""
    taken: datetime | None = None


def amounts(
    restorer: "Restorer",
    sources: Iterable[Place],
    options: "PhotoOptions",
    wanted: Callable[[], bool] = lambda: True,
) -> dict[Place, float]:
    """Stops of light for each photo, the same for those shot together.

    Photos that cannot be read are left out: what is wrong with them is said when they are done.

    Args:
        restorer: of a network of light.
        sources: the photos.
        options: what is done to each; ``ev`` says how much more or less than asked.
        wanted: asked before each photo; where it says no, nothing more is read.
    """
    shots = []
    for source in sources:
        if not wanted():
            return {}
        with contextlib.suppress(MirnetError, OSError, MemoryError):
            shots.append(look(restorer, source, options))
    given: dict[Place, float] = {}
    for together in series(shots):
        # As it is told and written: whoever gives this value gets these pictures.
        middle = round(statistics.median(shot.asked for shot in together), 2)
        given |= {shot.source: light.stops_for(options.ev, middle) for shot in together}
    return given


def look(restorer: "Restorer", source: Place, options: "PhotoOptions") -> Shot:
    """Read a photo and ask the network.

    Raises:
        InputError: for a photo that cannot be read.
    """
    photo = photos.read(source, options)
    return Shot(source, restorer.asked(photo), *_described(photo.metadata.exif))


def series(shots: Iterable[Shot]) -> Iterator[list[Shot]]:
    """Photos shot together: of one folder and camera, without a long pause.

    Those that do not say when they were taken are together by their folder alone.
    """
    groups: dict[tuple[Place, str, bool], list[Shot]] = defaultdict(list)
    for shot in shots:
        timed = shot.taken is not None
        groups[shot.source.parent, shot.camera if timed else "", timed].append(shot)
    for (_, _, timed), group in groups.items():
        yield from _without_pauses(group) if timed else [group]


def _without_pauses(group: list[Shot]) -> Iterator[list[Shot]]:
    def time(shot: Shot) -> datetime:
        assert shot.taken is not None
        return shot.taken

    together: list[Shot] = []
    for shot in sorted(group, key=time):
        if together and time(shot) - time(together[-1]) > PAUSE:
            yield together
            together = []
        together.append(shot)
    yield together


def _described(exif: bytes | None) -> tuple[str, datetime | None]:
    """The camera, and when a photo was taken."""
    if exif is None:
        return "", None
    from PIL import Image

    said = Image.Exif()
    try:
        said.load(exif)
        camera = " ".join(str(said.get(tag, "")).strip("\0 ") for tag in (_MAKE, _MODEL)).strip()
        text = str(said.get_ifd(_EXIF).get(_TAKEN, "")).strip("\0 ")
    except Exception:
        # Pillow raises anything for damaged EXIF, which is no reason not to brighten a photo.
        return "", None
    try:
        return camera, datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return camera, None
