"""A photo on its way from file to file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from mirnet_cli.photo import Photo
from mirnet_cli.places import Place
from mirnet_cli.restore.cutting import Outcome


@dataclass
class Work:
    """What the steps of :meth:`mirnet_cli.restore.Restorer.file` hand on.

    Attributes:
        source, target: where it comes from and goes to.
        photo: with the input's pixels, then with the output's.
        width, height: of the input, after orientation and crop.
        said: warnings.
        seconds: spent so far, waiting between the steps not counted.
        outcome: of the second step.
        provenance: what was done.
    """

    source: Place | bytes
    target: Place | BinaryIO
    photo: Photo
    width: int
    height: int
    said: list[str]
    seconds: float
    outcome: Outcome = field(default_factory=Outcome)
    provenance: Mapping[str, str] = field(default_factory=dict)
