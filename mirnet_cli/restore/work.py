"""A photo on its way from file to file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from mirnet_cli.photo import Photo
from mirnet_cli.places import Place
from mirnet_cli.restore.cutting import Outcome
from mirnet_cli.restore.result import Step

Source = Place | bytes
Target = Place | BinaryIO


@dataclass
class Work:
    """What the steps of :meth:`mirnet_cli.restore.Restorer.file` hand on.

    Attributes:
        source, target: where it comes from and goes to.
        status: of the source's file when it was read: it may change or be gone by the time the
            result is written; None of anything else.
        photo: with the input's pixels, then with the output's.
        width, height: of the input, after orientation and crop.
        said: warnings.
        seconds: spent so far, waiting between the steps not counted.
        outcome: of the second step; of several networks that of the last.
        steps: the networks that it went through.
        provenance: what was done.
        estimates, decision: what the photo was found to be like, and what was done for it.
        untouched: the file may be written as it is.
        kind: the type of the samples that the next step makes; None is what it gets.
    """

    source: Source
    target: Target
    status: os.stat_result | None
    photo: Photo
    width: int
    height: int
    said: list[str]
    seconds: float
    outcome: Outcome = field(default_factory=Outcome)
    steps: list[Step] = field(default_factory=list)
    provenance: Mapping[str, str] = field(default_factory=dict)
    estimates: Mapping[str, float] | None = None
    decision: str | None = None
    untouched: bool = False
    kind: type | None = None
