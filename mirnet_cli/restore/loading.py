"""From what is asked for to a restorer: :func:`load`."""

from pathlib import Path
from typing import Any

from mirnet_cli.errors import UsageError
from mirnet_cli.models.catalogue import TASKS
from mirnet_cli.models.onnx import Asked
from mirnet_cli.models.resolver import names_file, resolve
from mirnet_cli.restore.options import LoadOptions
from mirnet_cli.restore.restorer import Restorer
from mirnet_cli.restore.steps import ChainOptions
from mirnet_cli.restore.suited import one_set


def load(
    task: str | Path | None = None, options: LoadOptions | None = None, **named: Any
) -> Restorer:
    """See :func:`mirnet_cli.load`; the errors are in the words of the commands."""
    asked = ChainOptions.of(ChainOptions.beginning(options), named)
    if task is not None:
        asked = ChainOptions.of(asked, _meant(str(task), asked))
    steps = asked.steps()
    if asked.task == "auto":
        from mirnet_cli.restore.auto import Auto

        return Auto(_loaded, steps[0], asked.auto)
    made, *others = map(_loaded, steps)
    if others:
        from mirnet_cli.restore.chain import Chain

        made = Chain(made, *zip(others, [dict(each.own) for each in asked.then], strict=True))
    if asked.input_quality != "auto" and not made.two_sets:
        raise one_set(made.model)
    return made


def _loaded(options: LoadOptions) -> Restorer:
    """One step alone."""
    chosen = resolve(
        options.task,
        model=options.model,
        weights=options.weights,
        scale=options.scale,
        asked=Asked(dict(options.set), options.input_range, options.bgr),
    )
    return Restorer(chosen, options)


def _meant(name: str, options: LoadOptions) -> dict[str, str]:
    """Which option the name of a task, a model or a file stands for."""
    if name in (*TASKS, "auto"):
        return {"task": name}
    if options.model is not None or options.weights is not None:
        raise UsageError(f"unknown task {name!r}", f"use {', '.join(TASKS)}")
    return {"weights" if names_file(name) else "model": name}
