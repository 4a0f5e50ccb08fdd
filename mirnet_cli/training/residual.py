"""How networks learn that add to a picture: what a step sees, and how far results are off."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from mirnet_cli.networks.compact import CompactMIRNet
from mirnet_cli.networks.configs import CompactConfig
from mirnet_cli.runtime.torch_runtime import layout
from mirnet_cli.training import integers
from mirnet_cli.training.losses import LOSSES
from mirnet_cli.training.photos import random_crops
from mirnet_cli.training.recipe import Batch, Recipe, Stage, as_batch
from mirnet_cli.training.run import VALIDATION_CROP, Run


def network(recipe: Recipe) -> CompactMIRNet:
    """One that has not learned anything."""
    assert isinstance(recipe.config, CompactConfig)
    return CompactMIRNet(recipe.config)


def make_batch(run: Run, step: int, stage: Stage) -> Batch:
    """The batch of a step, on the run's device; the same whenever it is asked for."""
    generator = torch.Generator(run.device)
    generator.manual_seed((run.seed << 32) + step)
    choice = torch.Generator().manual_seed((run.seed << 32) + step + (1 << 62))
    scales = run.recipe.scales
    scale = scales[int(torch.randint(len(scales), (1,), generator=choice))]
    use_pairs = bool(run.pairs) and (
        not run.photos or float(torch.rand(1, generator=choice)) < run.recipe.pair_share
    )
    source = run.pairs if use_pairs else run.photos
    crops = random_crops(
        source, stage.batch, stage.crop, (run.seed, step), whole=run.recipe.whole
    ).to(run.device)
    batch = _as_batch(run.recipe, crops, generator, scale)
    if run.integers and run.recipe.loud:
        # The teacher knows what to make of it, and that is what counts: of the target little does,
        # and it stays that of the quieter picture.
        inputs = integers.louder(batch.inputs, run.recipe.loud, generator)
        batch = replace(batch, inputs=inputs)
    return batch


def _as_batch(recipe: Recipe, crops: Tensor, generator: torch.Generator, scale: int) -> Batch:
    with torch.no_grad():
        if crops.shape[1] == 6:
            return as_batch(recipe, crops[:, :3], crops[:, 3:])
        return recipe.degrade(recipe, crops, generator, scale)


def validation_batches(run: Run) -> list[Batch]:
    """Fixed batches from the held-out photos and pairs: the same in every run of a seed."""
    batches = []
    for source in (run.held_out_photos, run.held_out_pairs):
        for index, pair in enumerate(source[:16]):
            key = (12345, index)
            crops = random_crops([pair], 2, VALIDATION_CROP, key, whole=run.recipe.whole).to(
                run.device
            )
            generator = torch.Generator(run.device)
            generator.manual_seed(index)
            scale = run.recipe.scales[index % len(run.recipe.scales)]
            batches.append(_as_batch(run.recipe, crops, generator, scale))
    return batches


def results(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """What comes out, what it would be if nothing were done, and what should."""
    return (
        batch.base + model(laid_out(batch.inputs), scale=batch.scale).float(),
        batch.base,
        batch.targets,
    )


def loss(model: nn.Module, batch: Batch, kind: str, teacher: nn.Module | None) -> Tensor:
    """How far results are from their targets; with a teacher, mostly how far from its results."""
    inputs = laid_out(batch.inputs)
    with torch.autocast(batch.inputs.device.type, torch.bfloat16):
        residual = model(inputs, scale=batch.scale).float()
    off = LOSSES[kind](batch.base + residual, batch.targets)
    if teacher is None:
        return off
    with torch.no_grad(), torch.autocast(batch.inputs.device.type, torch.bfloat16):
        taught = teacher(inputs, scale=batch.scale).float()
    return integers.TARGET * off + integers.distance(residual, taught)


def laid_out(x: Tensor) -> Tensor:
    """In the order of memory that its device is fastest with."""
    return x.contiguous(memory_format=layout(x.device))
