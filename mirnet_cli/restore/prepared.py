"""Weights made ready to run: their network, and their others where there are any."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from mirnet_cli.errors import ModelError, ResultError, UsageError
from mirnet_cli.models.weights import GUIDE, Weights
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.restore import light, output_checks
from mirnet_cli.restore.base import Base, BicubicBase, Guide, InputBase, NoBase, guided_base
from mirnet_cli.restore.evaluate import Evaluator, Nothing
from mirnet_cli.restore.options import LoadOptions, StepOptions
from mirnet_cli.restore.picture import Enlarged, Picture, pad
from mirnet_cli.restore.resample import BICUBIC_REACH, Floats
from mirnet_cli.restore.suited import LOOK, Suited, apart, suits
from mirnet_cli.restore.symmetry import ALL, IDENTITY, Symmetry
from mirnet_cli.runtime import Runner, prepare
from mirnet_cli.runtime.devices import integers_of
from mirnet_cli.runtime.memory import Need, footprint, need

_GAINS = 4 * 12
"""Bytes that gains take for each pixel of a tile: what is seen, a residual of nothing, the result.

What is computed in bands does not grow with the tile.
"""
_LARGEST = 2048
_ROUND = 4
"""What the second network sees from the other side of a picture whose sides meet: a quarter."""


_ANY = 1 << 14
"""Side in pixels of tiles that are as large as memory allows."""


class Prepared:
    """Weights on a device.

    Attributes:
        weights: which.
        enlarge: how many times the picture is enlarged before the network sees it.
        scale: sides of the network's output over sides of its input.
        runner: the network.
        stride: what the sides of its input must be multiples of.
        halo: overlap of tiles that the weights, or their family, ask for.
        base_beside: whether the network sees the base beside the picture.
        crop: side of the smallest picture that the network is shown.
        two_views: whether the network sees two views of one scene and gives one picture.
        whole: whether it gives the enlarged picture itself, not what is to be added to it.
        measured: what was measured of a network that is known no other way.
        light: whether the network is one of light, whose gains are all there is.
        need: memory for each pixel.
    """

    def __init__(self, weights: Weights, scale: int, options: LoadOptions) -> None:
        """Build the networks.

        Args:
            weights: which.
            scale: one of theirs.
            options: what computes.

        Raises:
            UsageError: for a scale the weights do not have, or something that is not here.
            ModelError: for weights that do not fit their networks.
        """
        if scale not in weights.scales:
            has = " or ".join(str(each) for each in weights.scales)
            raise UsageError(f"the model {weights.name} has no scale {scale}", f"use {has}")
        spec = weights.network
        family = FAMILIES[spec.family]
        self.weights = weights
        self.enlarge = scale if weights.base == "enlarged" else 1
        self.scale = scale // self.enlarge
        self._options = options
        self._specs = weights.parts
        self.light = weights.base == "light"
        # First, because it refuses configurations that the following lines could not read.
        self.runner = self._prepare(spec, self.scale, options.precision)
        self._stride = family.stride(spec.config)
        # Gains are of pixels: what is cut need not suit the network.
        self.stride = 1 if self.light else self._stride
        self.halo = family.halo if weights.overlap is None else weights.overlap
        self.measured = family.measured(spec.config)
        # Pictures with a side of less than half of it are mirrored.
        self.crop = family.crop if self.measured is None else 2 * self.measured.least
        inputs = family.inputs(spec.config)
        self.two_views = weights.base == "none"
        self.whole = family.whole(spec.config) and not self.two_views
        self.base_beside = inputs == 6 and not self.two_views
        takes = footprint(self.runner.runtime, self.runner.precision, spec.family)
        self.need: Need = need(
            spec, inputs, self.scale, takes, self.measured.memory if self.measured else 0
        )
        if self.measured is not None and self.measured.everywhere:
            # The fewer tiles, the less do they differ.
            self.need = replace(self.need, largest=_ANY)
        if self.light:
            self.need = replace(self.need, whole=_GAINS, tile=_GAINS, largest=_LARGEST)
        if (
            (scale > 1) != (weights.base in ("bicubic", "enlarged"))
            or (self.base_beside and weights.base != "guided")
            or (self.two_views or self.whole) != family.whole(spec.config)
            or (self.whole and weights.base != "bicubic")
            or (self.two_views and inputs != 6)
        ):
            raise ModelError(
                f"a network of {inputs} channels for scale {scale} does not go"
                f" with the base {weights.base!r}",
                "use other weights",
                subject=weights.path,
            )
        self._runners = {"network": self.runner}
        self._safe: dict[str, Runner] = {}
        self._looks: dict[str, Runner] = {}
        self._guide: Guide | None = None
        if weights.thumbnail is not None:
            config = dict(weights.thumbnail.config)
            self._guide = Guide(**{name: config.pop(name) for name in GUIDE if name in config})
            self._specs["thumbnail"] = replace(weights.thumbnail, config=config)
            self._runner("thumbnail")

    def release(self) -> None:
        """Give back the memory that the networks hold for their next run."""
        for runners in (self._runners, self._safe, self._looks):
            for runner in runners.values():
                runner.release()

    @property
    def looks(self) -> int:
        """Bytes that comparing two sets of weights takes, and holds for the next picture."""
        compared = self.weights.clean is not None and self._options.input_quality == "auto"
        return 2 * LOOK**2 * self.need.whole if compared else 0

    def suited(self, picture: Picture, *, hold: bool) -> Suited:
        """Which set of the weights suits a picture, where there are two.

        Args:
            picture: as the network sees it.
            hold: keep the memory that this takes for the next picture.
        """
        if self.weights.clean is None:
            return Suited()
        if self._options.input_quality != "auto":
            return Suited(self._options.input_quality)
        # Runners of their own: those of tiles are ready for pictures of another size.
        looking = [
            self._evaluator(part, False, self._looking(part)) for part in ("network", "clean")
        ]

        def seen(evaluate: Evaluator) -> Callable[[Floats], Floats]:
            def added(x: Floats) -> Floats:
                residual, _ = evaluate(x)
                if not hold:
                    evaluate.runner.release()
                return residual

            return added

        try:
            found = apart(picture, self.scale, self._stride, *map(seen, looking))
        except ResultError:
            # It is said where the picture itself is restored.
            return Suited("real")
        return Suited(suits(found), found, sum(each.unsafe for each in looking))

    def evaluator(self, quality: str | None, ensemble: bool) -> Evaluator | Nothing:
        """The network for one picture.

        Args:
            quality: as :meth:`suited` says of it.
            ensemble: average over the eight symmetries.
        """
        if self.light:
            return Nothing()
        part = "clean" if quality == "clean" else "network"
        if self._specs.keys() >= {"network", "clean"}:
            # The one runs in the memory that the other held.
            for runners in (self._runners, self._safe):
                for other in runners.keys() - {part}:
                    runners[other].release()
        return self._evaluator(part, ensemble, self._runner(part))

    @property
    def _symmetries(self) -> Sequence[Symmetry]:
        fixed = None if self.measured is None else self.measured.fixed
        turned = fixed is None or fixed[0] == fixed[1]
        return tuple(each for each in ALL if turned or not each.transpose)

    def seen(self, picture: Picture) -> Picture:
        """The picture as the network sees it."""
        if self.enlarge == 1:
            return picture
        return Enlarged(picture.pixels, picture.space, picture.around, self.enlarge)

    def margin(self, width: int) -> int:
        """Columns that a picture of this width needs from its other side where its sides meet."""
        reduced = width // _ROUND if self.light or self._guide is not None else 0
        return max(-(-self.halo // self.enlarge), reduced, BICUBIC_REACH)

    def watch(self) -> output_checks.Watch:
        """Look at the results for one picture."""
        return output_checks.Watch(self.weights.task, known=self.weights.known)

    def base(
        self,
        picture: Picture,
        options: StepOptions,
        watch: output_checks.Watch,
    ) -> tuple[Base, int]:
        """What the residual is added to, and how many results had to be computed in float32.

        Args:
            picture: as the network sees it.
            options: what the result is like.
            watch: looks at the results.
        """
        if self.light:
            reduced, said, unsafe = self._asked(picture, options.ensemble)
            wanted = light.Wanted(
                light.stops_for(options.ev, said.asked), options.shadows, options.highlights
            )
            return light.light_base(picture, reduced, said, wanted), unsafe
        if self.weights.base == "bicubic":
            return BicubicBase(picture, self.scale), 0
        if self.two_views:
            return NoBase(), 0
        if self._guide is None:
            return InputBase(), 0
        spec = self._specs["thumbnail"]
        evaluate = self._evaluator("thumbnail", options.ensemble, self._runner("thumbnail"))
        stride = FAMILIES[spec.family].stride(spec.config)

        def enhance(reduced: Floats) -> Floats:
            x = pad(reduced, stride)
            residual, _ = evaluate(x)
            before = output_checks.means(x)
            after = before + output_checks.means(residual)
            if watch.suspects(before, after):
                residual, _ = evaluate.again(x)
                evaluate.unsafe += watch.better(
                    before, after, before + output_checks.means(residual)
                )
            result: Floats = reduced + residual[: reduced.shape[0], : reduced.shape[1]]
            return result.clip(0, 1, out=result)

        return guided_base(picture, enhance, self._guide), evaluate.unsafe

    def asks(self, picture: Picture) -> float:
        """Stops of light that a picture asks for, of a network of light."""
        return self._asked(picture, ensemble=False)[1].asked

    def _asked(self, picture: Picture, ensemble: bool) -> tuple[Floats, light.Answer, int]:
        reduced = light.seen(picture)
        evaluate = self._evaluator("network", ensemble, self.runner)
        raw, _ = evaluate(pad(light.features(reduced), self._stride))
        said = light.answer(reduced, raw, light.telling(picture, reduced))
        return reduced, said, evaluate.unsafe

    def _evaluator(self, part: str, ensemble: bool, runner: Runner) -> Evaluator:
        def safe() -> Runner:
            if part not in self._safe:
                self._safe[part] = self._prepared(part, "fp32")
            return self._safe[part]

        return Evaluator(
            runner,
            safe=None if runner.precision == "fp32" else safe,
            symmetries=self._symmetries if ensemble else IDENTITY,
        )

    def _runner(self, part: str) -> Runner:
        """What runs a part, made ready where it was not before."""
        if part not in self._runners:
            self._runners[part] = self._prepared(part, self._options.precision)
        return self._runners[part]

    def _looking(self, part: str) -> Runner:
        """The same, for what two sets of weights are compared by."""
        if part not in self._looks:
            self._looks[part] = self._prepared(part, self._options.precision)
        return self._looks[part]

    def _prepared(self, part: str, precision: str) -> Runner:
        scale = None if part == "thumbnail" or self.light else self.scale
        return self._prepare(self._specs[part], scale, precision)

    def _prepare(self, spec: NetworkSpec, scale: int | None, precision: str) -> Runner:
        runtime, device = self._options.runtime, self._options.device
        if precision == "int8" and not spec.integers:
            if not self.light and spec is not self._specs.get("thumbnail"):
                integers_of(spec, self.weights.name)
            # What sees reduced pictures alone takes next to no time in any precision.
            precision = "auto"
        return prepare(spec, scale=scale, runtime=runtime, device=device, precision=precision)
