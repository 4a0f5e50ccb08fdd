"""Several networks one after the other on one decoded photo."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mirnet_cli._version import __version__
from mirnet_cli.errors import UsageError
from mirnet_cli.options import in_python
from mirnet_cli.photo import Photo
from mirnet_cli.restore import notebook
from mirnet_cli.restore.context import Refinement
from mirnet_cli.restore.options import LIGHT, StepOptions
from mirnet_cli.restore.passes import Report
from mirnet_cli.restore.restorer import Restorer
from mirnet_cli.restore.result import Step
from mirnet_cli.restore.sizing import Forecast
from mirnet_cli.restore.tiles import TilePlan
from mirnet_cli.restore.work import Work
from mirnet_cli.runtime.memory import USEFUL

Part = Restorer | tuple[Restorer, StepOptions | Mapping[str, Any]]


@in_python()
def chain(*steps: Part) -> Restorer:
    """One restorer of several: a photo is decoded once, goes through all, and is encoded once.

    Between two steps there are 16 bits a sample, or float32 where the photo has it. What each does
    is done to the result of the one before.

    Args:
        *steps: restorers, in order; with options, those hold for this step alone, while what
            :meth:`Restorer.file` is asked for holds for the steps that have none of their own.

    Raises:
        UsageError: there is no step, one cannot follow, or two enlarge.
    """
    return Chain(*steps)


class Chain(Restorer):
    """Several restorers as one; made by :func:`chain`, or by :func:`mirnet_cli.load` with ``then``.

    The attributes of a :class:`Restorer` that steps differ in have a plus between the steps'.
    """

    def __init__(self, *steps: Part) -> None:
        """See :func:`chain`."""
        self._parts = [part for step in steps for part in _parts(step)]
        if not self._parts:
            raise UsageError("no steps", "name at least one")
        every = self.steps
        if any(step.two_views for step in every):
            what = "a network for the two views of a dual-pixel sensor cannot be a step"
            raise UsageError(what, "call it with an HxWx6 array")
        if sum(step.scale > 1 for step in every) > 1:
            raise UsageError("two steps enlarge", "leave one out")
        self.scale = max(step.scale for step in every)
        self.task = "+".join(step.task for step in every)
        self.runtime = _joined(step.runtime for step in every)
        self.device = _joined(step.device for step in every)
        self.precision = _joined(step.precision for step in every)
        self.context = _joined(step.context for step in every)
        self.overlap = max(step.overlap for step in every)
        self.max_memory = max(step.max_memory for step in every)
        self.two_views = False
        self.light = any(step.light for step in every)

    @property
    def steps(self) -> tuple[Restorer, ...]:
        """The networks that a photo goes through, in order."""
        return tuple(step for step, _ in self._parts)

    @property
    def two_sets(self) -> bool:
        """Whether weights of a step are of two sets, one for clean pictures."""
        return any(step.two_sets for step in self.steps)

    @property
    def model(self) -> str:
        """Names of the weights."""
        return "+".join(step.model for step in self.steps)

    @property
    def sha256(self) -> str:
        """Of the weights of each step."""
        return "+".join(step.sha256 for step in self.steps)

    def fingerprint(self) -> dict[str, Any]:
        """What makes a result what it is, beside the options of the photo."""
        return {"steps": [step.fingerprint() | {"own": own} for step, own in self._parts]}

    def planned(self, options: StepOptions) -> tuple[Step, ...]:
        """The networks that a photo goes through, and what is asked of each."""
        asked = ((step, _of(options, own, step)) for step, own in self._parts)
        return tuple(each for step, said in asked for each in step.planned(said))

    def __repr__(self) -> str:
        return f"<Restorer {self.task} with {self.model}, {self.runtime} on {self.device}>"

    def _repr_html_(self) -> str:
        """For a notebook."""
        return notebook.table(
            {
                "task": self.task,
                "model": self.model,
                "scale": self.scale if self.scale > 1 else None,
                "computes": f"{self.runtime} on {self.device}, {self.precision}",
                "memory": f"at most {self.max_memory / 2**30:.1f} GiB",
            }
        )

    def release(self) -> None:
        """Give back the memory that is held for the next photo, which then takes it again."""
        for step in self.steps:
            step.release()

    @property
    def refinement(self) -> Refinement:
        """When the context "refine" ends."""
        return self.steps[0].refinement

    @refinement.setter
    def refinement(self, value: Refinement) -> None:
        for step in self.steps:
            step.refinement = value

    def check(self, options: StepOptions) -> None:
        """Refuse what no step can be asked for.

        Raises:
            UsageError: for an amount of light, where no step gives light.
        """
        if not self.light:
            self.steps[0].check(options)

    def asked(self, photo: Photo) -> float:
        """Stops of light that a photo itself asks for, of the step that gives light."""
        return next(step for step in self.steps if step.light).asked(photo)

    def improve(self, work: Work, options: StepOptions, progress: Report | None = None) -> None:
        """The second step of :meth:`Restorer.file`: through all networks."""
        together = self._together(work.width, work.height)
        told = _Told(progress, len(self._parts))
        provenance = {"tool": f"mirnet {__version__}"}
        kinds = self._kinds(work.photo.pixels, work.kind)
        for number, ((step, own), kind) in enumerate(zip(self._parts, kinds, strict=True), 1):
            work.kind = kind
            step.improve(work, _of(options, own, step), told.next())
            provenance |= {
                f"step{number}.{k}": v for k, v in work.provenance.items() if k != "tool"
            }
            if not together:
                # What a network holds for the next photo is what the next network needs for this.
                step.release()
        work.provenance = provenance
        work.said[:] = dict.fromkeys(work.said)

    def _kinds(self, pixels: NDArray[Any], last: type | None) -> list[type]:
        """The type of the samples that each step makes: from 8 bits on, 16 between steps."""
        own: type = pixels.dtype.type
        between = np.uint16 if own == np.uint8 else own
        return [between] * (len(self._parts) - 1) + [last or own]

    def foresee(self, width: int, height: int) -> Forecast:
        """What a photo of this size will take: the memory of the largest step, the work of all.

        Raises:
            OutOfMemoryError: where not even the smallest tile fits.
        """
        every = self._forecasts(width, height)
        return Forecast(
            tiles=sum(each.tiles for each in every),
            tile=max(each.tile for each in every),
            memory=max(each.memory for each in every),
            pixels=sum(each.pixels for each in every),
        )

    def tiles(self, width: int, height: int) -> TilePlan:
        """How a photo of this size is cut for the step that cuts it most.

        Raises:
            OutOfMemoryError: where not even the smallest tile fits.
        """
        plans = [step.tiles(*size) for step, size in self._sizes(width, height)]
        return max(plans, key=len)

    def _sizes(self, width: int, height: int) -> Iterable[tuple[Restorer, tuple[int, int]]]:
        """The size of what each step is given."""
        for step in self.steps:
            yield step, (width, height)
            width, height = width * step.scale, height * step.scale

    def _forecasts(self, width: int, height: int) -> list[Forecast]:
        found = []
        last = len(self._parts) - 1
        for number, (step, (w, h)) in enumerate(self._sizes(width, height)):
            forecast = step.foresee(w, h)
            # Of 16 bits: a byte more for each sample that comes from a step or goes to one.
            deeper = 3 * w * h * ((number > 0) + (number < last) * step.scale**2)
            found.append(replace(forecast, memory=forecast.memory + deeper))
        return found

    def _together(self, width: int, height: int) -> bool:
        """Whether what all networks hold for photos of this size may stay until the next one."""
        held = sum(each.memory for each in self._forecasts(width, height))
        return held <= min(self.max_memory, USEFUL)


class _Told:
    """Passes on how far each step is as how far all are.

    How many runs later steps will take is not known before they begin: as many as the one before.
    """

    def __init__(self, report: Report | None, steps: int) -> None:
        self._report, self._left = report, steps
        self._before = self._own = 0

    def next(self) -> Report | None:
        """The report of the next step."""
        self._left -= 1
        self._before, self._own = self._before + self._own, 0
        return None if self._report is None else self._tell

    def _tell(self, done: int, total: int) -> None:
        self._own = total
        report = cast(Report, self._report)
        report(self._before + done, self._before + total * (1 + self._left))


def _parts(step: Part) -> list[tuple[Restorer, dict[str, Any]]]:
    """A step and what holds for it alone; a chain as its steps."""
    restorer, own = step if isinstance(step, tuple) else (step, {})
    if not isinstance(restorer, Restorer):
        raise UsageError(f"{type(restorer).__name__} is not a Restorer", "give what load() returns")
    if isinstance(own, StepOptions):
        own = vars(own.part(StepOptions))
    restorer.check(StepOptions(**own))
    inner = restorer._parts if isinstance(restorer, Chain) else [(restorer, {})]
    return [(each, {**own, **said}) for each, said in inner]


def _of(options: StepOptions, own: Mapping[str, Any], step: Restorer) -> StepOptions:
    """What one step is asked for."""
    unasked = StepOptions()
    plain = {} if step.light else {name: getattr(unasked, name) for name in LIGHT}
    return options.part(StepOptions, **plain | dict(own))


def _joined(values: Iterable[str]) -> str:
    """What all have, or what each has."""
    every = list(values)
    return every[0] if len({*every}) == 1 else "+".join(every)
