"""A picture through prepared weights: how it is cut, and what is done when memory runs out."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import OutOfMemoryError, UsageError
from mirnet_cli.restore.context import Refinement, choose, refinement
from mirnet_cli.restore.options import LoadOptions, StepOptions
from mirnet_cli.restore.passes import Cut, Passes, Report
from mirnet_cli.restore.picture import Picture
from mirnet_cli.restore.prepared import Prepared
from mirnet_cli.restore.sizing import (
    SMALLEST,
    Forecast,
    Room,
    automatic_tile,
    check_overlap,
    fitting_overlap,
)
from mirnet_cli.restore.suited import Suited
from mirnet_cli.restore.tiles import TilePlan, plan, round_up
from mirnet_cli.runtime.memory import Ceiling, device_ceiling

_FAIR_TILE = 320
"""Side in pixels of tiles for which memory is taken without being asked."""


@dataclass
class Outcome:
    """What is known of a picture once it is restored.

    Attributes:
        tile: largest side of a tile; 0 where the picture was not cut.
        overlap: of tiles.
        context: how tiles were made to agree; "whole" where the picture was not cut.
        ev: stops of light that it was given; None where the network knows no amount.
        suited: which of two sets of weights it was restored with.
        warnings: fallbacks and the like.
    """

    tile: int = 0
    overlap: int = 0
    context: str = "whole"
    ev: float | None = None
    suited: Suited = field(default_factory=Suited)
    warnings: list[str] = field(default_factory=list)


class Cutter:
    """Restores pictures with one network, in tiles that fit the memory.

    Attributes:
        overlap: of tiles, in pixels; less where tiles are small and it was not asked for.
        context: how tiles are made to agree with the whole.
        refinement: when the context "refine" ends.
    """

    def __init__(self, network: Prepared, options: LoadOptions, ceiling: Ceiling) -> None:
        """Check what was asked for.

        Args:
            network: what computes.
            options: tiles, their overlap and context.
            ceiling: what the process may take.

        Raises:
            UsageError: for an overlap without room in the tile, or an unknown context.
        """
        overlap = options.overlap
        self._network = network
        self._tile = None if options.tile == "auto" else int(options.tile)
        self._overlap_is_own = overlap is None
        self._context_is_own = options.context == "auto"
        self._ceiling = ceiling
        self._device_ceiling = device_ceiling(network.runner.device)
        # Set when memory ran out, so that later pictures do not run into the same wall.
        self._largest: int | None = None
        self._fixed = None if network.measured is None else network.measured.fixed
        if self._fixed is not None and self._tile is not None:
            shown = f"{self._fixed[1]}x{self._fixed[0]}"
            raise UsageError(f"the network takes pictures of {shown} only", "leave --tile out")
        # What is measured of a network has no vectors that tiles could share.
        context = "tile" if network.measured is not None else options.context
        self.context = choose(context, network.weights.context)
        if network.light:
            # Tiles agree to the last bit, whatever is asked for.
            self.context = "tile"
        self.overlap = network.halo if overlap is None else overlap
        self.refinement: Refinement = refinement(network.runner.precision)
        if overlap is not None:
            check_overlap(self._tile or min(self._fixed or (0,)), overlap, network.stride)

    def restore(
        self,
        picture: Picture,
        out: NDArray[Any],
        options: StepOptions,
        progress: Report | None = None,
        *,
        around: bool = False,
    ) -> Outcome:
        """Restore a picture, with smaller tiles whenever memory does not suffice.

        Args:
            picture: what comes in.
            out: what goes out, ``(scale * H, scale * W[, 3])``; filled.
            options: what the result is like.
            progress: told of each run of the network.
            around: the picture's left and right sides meet.

        A picture with a side of less than half a training crop is mirrored to that size before.

        Raises:
            OutOfMemoryError: where memory does not suffice at the smallest tile.
            ResultError: where the network's result is not finite.
        """
        mirrored = self._fitted(picture)
        if mirrored is not picture:
            rows, columns = mirrored.pixels.shape[:2]
            scale = out.shape[0] // picture.pixels.shape[0]
            large = np.empty((rows * scale, columns * scale, *out.shape[2:]), out.dtype)
            outcome = self.restore(mirrored, large, options, progress)
            out[...] = large[: out.shape[0], : out.shape[1]]
            return outcome
        outcome = Outcome()
        if around:
            picture = replace(picture, around=self._network.margin(picture.width))
        picture = self._network.seen(picture)
        room = self._room(picture.pixels.nbytes + out.nbytes)
        tile = self._choose_tile(picture.height, picture.width, room)
        context = self._affordable_context(picture, tile, room, outcome)
        outcome.suited = self._suited(picture, tile, context, room)
        while True:
            cut = replace(self._cut(picture, tile, context, room), quality=outcome.suited.quality)
            try:
                passes = Passes(self._network, picture, out, cut, options, progress)
                self._run(passes, context, outcome)
            except MemoryError as error:
                tile = self._smaller(picture, tile, error, outcome)
                context = "refine" if context == "whole" else context
            else:
                return outcome

    def _suited(self, picture: Picture, tile: int, context: str, room: Room) -> Suited:
        """Which weights suit a picture; where there is memory, what that takes is kept."""
        rows, columns = self._plan(picture.height, picture.width, tile, context).tile_shape
        takes = room.taken + rows * columns * room.need.tile
        try:
            return self._network.suited(picture, hold=self._holds(takes, room))
        except MemoryError:
            # What is held for other pictures may be what is missing.
            self._network.release()
        try:
            return self._network.suited(picture, hold=False)
        except MemoryError as error:
            raise OutOfMemoryError(
                f"memory on {self._network.runner.device} is not enough to compare the two sets of"
                " weights",
                "close other programs, or give --input-quality",
            ) from error

    def _holds(self, takes: int, room: Room) -> bool:
        """Whether what comparing two sets of weights takes may stay beside so many bytes."""
        return takes + self._network.looks <= room.ceiling

    def _cut(self, picture: Picture, tile: int, context: str, room: Room) -> Cut:
        # After "out of memory", what fits is what the smaller tile takes.
        limit = min(room.tile, self._largest**2) if self._largest else room.tile
        plan = self._plan(picture.height, picture.width, tile, context)
        return Cut(plan, self._fitting(tile), limit)

    def _run(self, passes: Passes, context: str, outcome: Outcome) -> None:
        converged = passes.run(context, self.refinement)
        outcome.ev = passes.ev
        plan, overlap = passes.cut.plan, passes.cut.overlap
        if unsafe := passes.unsafe + outcome.suited.unsafe:
            outcome.warnings.append(
                f"{unsafe} {'result was' if unsafe == 1 else 'results were'} not finite, black or"
                f" off in colour in {self._network.runner.precision} and computed again in fp32"
            )
        if passes.watch.odd:
            outcome.warnings.append(
                "these weights change the mean colour far more than usual, in fp32 too: check"
                " the result"
            )
        outcome.warnings += self._doubts(cut=not plan.whole)
        if plan.whole:
            return
        outcome.tile, outcome.context = max(plan.tile_shape), context
        outcome.overlap = plan.overlap
        if overlap < self.overlap:
            outcome.warnings.append(
                f"the overlap is {outcome.overlap} instead of {self.overlap} pixels, because the"
                " tiles are small; their borders may show"
            )
        if not converged:
            outcome.warnings.append(
                "the whole picture's context was still changing after"
                f" {self.refinement.rounds} passes; tiles may differ slightly"
            )

    def _doubts(self, *, cut: bool) -> list[str]:
        """What was measured of the network and may be seen in the result."""
        measured = self._network.measured
        if measured is None:
            return []
        doubts = []
        if not measured.repeatable:
            doubts.append("this network gives a different result each time")
        if cut and measured.everywhere:
            apart = f", by some {measured.agreement:.0f} dB" if measured.agreement else ""
            doubts.append(
                f"this network looks at the whole picture, and tiles differ from it{apart}:"
                " more --max-memory makes fewer of them"
            )
        return doubts

    def _fitted(self, picture: Picture) -> Picture:
        """A picture that is not smaller than the network has seen any."""
        if min(picture.pixels.shape[:2]) >= self._network.crop // 2:
            return picture
        return picture.mirrored(self._network.crop)

    def asked(self, picture: Picture) -> float:
        """Stops of light that a picture asks for, of a network of light."""
        return self._network.asks(self._fitted(picture))

    def foresee(self, height: int, width: int) -> Forecast:
        """What a picture of 8 bits a sample will take; nothing is computed.

        Raises:
            OutOfMemoryError: where not even the smallest tile fits.
        """
        tiles = self.tiles(height, width)
        height, width = height * self._network.enlarge, width * self._network.enlarge
        room = self._room(3 * height * width * (1 + self._network.scale**2))
        rows, columns = tiles.tile_shape
        memory = room.taken + rows * columns * (room.need.whole if tiles.whole else room.need.tile)
        if self._holds(memory, room):
            memory += self._network.looks
        if tiles.whole:
            return Forecast(1, 0, memory, rows * columns)
        # Measuring the whole takes as much as a pass; refinement mostly ends after its first.
        passes = {"whole": 2, "refine": 1.5}.get(self.context, 1)
        return Forecast(
            tiles=len(tiles),
            tile=max(rows, columns),
            memory=memory,
            pixels=int(len(tiles) * rows * columns * passes),
        )

    def tiles(self, height: int, width: int) -> TilePlan:
        """The tiles of a picture of 8 bits a sample, as the network sees it.

        Raises:
            OutOfMemoryError: where not even the smallest tile fits.
        """
        network = self._network
        height, width = height * network.enlarge, width * network.enlarge
        room = self._room(3 * height * width * (1 + network.scale**2))
        return self._plan(height, width, self._choose_tile(height, width, room), self.context)

    def _plan(self, height: int, width: int, tile: int, context: str) -> TilePlan:
        overlap = self._fitting(tile)
        # On their own, tiles differ everywhere: then the blend is as wide as it can be.
        apart = context == "tile" and not self._agree
        feather = overlap if apart else None
        stride = self._network.stride
        return plan(height, width, tile, overlap, stride, feather=feather, fixed=self._fixed)

    @property
    def _agree(self) -> bool:
        """Whether tiles agree by themselves: nothing beyond their overlap counts."""
        measured = self._network.measured
        return measured is not None and not measured.everywhere

    def _fitting(self, tile: int) -> int:
        """The overlap for a tile."""
        if self._overlap_is_own or tile != self._tile:
            return fitting_overlap(tile, self.overlap, self._network.stride)
        return self.overlap

    def _smaller(self, picture: Picture, tile: int, error: BaseException, outcome: Outcome) -> int:
        """Half of a tile for which memory did not suffice."""
        longer = max(picture.height, picture.width)
        tried = min(tile or longer, longer)
        smaller = tried // 2 // self._network.stride * self._network.stride
        if smaller < SMALLEST or self._fixed is not None:
            raise OutOfMemoryError(
                f"memory on {self._network.runner.device} is not enough for tiles of {tried}"
                " pixels",
                "close other programs, or use --crop or another --device",
            ) from error
        self._largest = smaller
        what = "one tile" if tried == longer else f"tiles of {tried}"
        outcome.warnings.append(f"out of memory with {what}: went on with tiles of {smaller}")
        return smaller

    def _room(self, pictures: int) -> Room:
        """The room beside the pictures in and out, which take so many bytes."""
        need = self._network.need
        if self._device_ceiling is not None:
            device = self._network.runner.device
            remedy = f"close other programs that use {device}, or use --device cpu"
            return Room(self._device_ceiling, 0, need, remedy)
        taken = need.fixed + pictures
        # Beside pictures that are large themselves there has to be room for a fair tile.
        needed = (
            _FAIR_TILE if self._network.measured is None or self._agree else max(need.largest, 0)
        )
        return Room(self._ceiling.beside(taken + needed**2 * need.tile), taken, need)

    def _choose_tile(self, height: int, width: int, room: Room) -> int:
        tile = self._tile
        if self._fixed is not None:
            return min(self._fixed)
        if tile is None:
            tile = automatic_tile(height, width, self._network.stride, room)
        if self._largest is not None and max(height, width) > self._largest:
            tile = min(tile or self._largest, self._largest)
        return tile

    def _affordable_context(self, picture: Picture, tile: int, room: Room, outcome: Outcome) -> str:
        """The context, or "refine" where a pass over the uncut picture takes too much memory."""
        stride = self._network.stride
        pixels = round_up(picture.height, stride) * round_up(picture.width, stride)
        cut = bool(tile) and tile < max(picture.height, picture.width)
        if self.context != "whole" or not cut or pixels <= room.whole:
            return self.context
        if not self._context_is_own:
            outcome.warnings.append(
                "the context whole needs more memory than is allowed: refine was used instead"
            )
        return "refine"
