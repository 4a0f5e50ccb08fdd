"""What turns gradients into steps: AdamW, or Muon for the weights that are matrices.

Muon (Jordan et al., 2024) takes momentum's step in all directions of a matrix alike, instead of
mostly in its few strongest ones; a convolution is the matrix from its window's values to its
channels. Biases, and weights of a single input channel, stay with AdamW.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn, optim

from mirnet_cli import installation
from mirnet_cli.errors import UsageError

OPTIMISERS = ("adamw", "muon")

_MATRIX_RATE = 6.0
"""Muon's learning rate over AdamW's, at steps that "match_rms_adamw" makes alike in size."""

Moments = dict[str, dict[str, Tensor]]
"""What an optimiser remembers, by one of :data:`KINDS` and the weight's name."""

_ADAMW = ("step", "exp_avg", "exp_avg_sq")
_MUON = ("momentum_buffer",)
KINDS = (*_ADAMW, *_MUON)


class _Part(NamedTuple):
    optimiser: optim.Optimizer
    weights: dict[str, Tensor]
    rate: float
    kinds: tuple[str, ...]


def check(kind: str) -> None:
    """Refuse what this installation cannot do.

    Raises:
        UsageError: if it is Muon, which this version of torch does not have.
    """
    if kind == "muon" and not hasattr(optim, "Muon"):
        raise UsageError(
            f"Muon needs torch 2.9 or newer, not {torch.__version__}",
            f'{installation.add_extra("train")}, or set optimiser = "adamw" with --config',
        )


class Optimiser:
    """Updates a network's weights, all by one schedule of the learning rate.

    Args:
        model: the network.
        kind: "adamw" for all weights, or "muon" for those of convolutions of more than one input
            channel, and AdamW for the rest.
        weight_decay: share of the weights that a step at rate 1 would take away; of Muon's matrices
            six times that.

    Raises:
        ValueError: for another kind.
    """

    def __init__(self, model: nn.Module, kind: str, weight_decay: float) -> None:
        if kind not in OPTIMISERS:
            raise ValueError(f"no optimiser {kind!r}, choose from {', '.join(OPTIMISERS)}")
        self._parameters: dict[str, Tensor] = dict(model.named_parameters())
        # Muon wants matrices: it works on copies, brought back after each step.
        self._matrices = {
            name: value.detach().flatten(1).clone()
            for name, value in self._parameters.items()
            if kind == "muon" and value.ndim == 4 and value.shape[1] > 1
        }
        others = {k: v for k, v in self._parameters.items() if k not in self._matrices}
        adamw = optim.AdamW(others.values(), weight_decay=weight_decay)
        self._parts = [_Part(adamw, others, 1.0, _ADAMW)]
        if self._matrices:
            muon = optim.Muon(
                self._matrices.values(),
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            self._parts.append(_Part(muon, self._matrices, _MATRIX_RATE, _MUON))

    def step(self, rate: float) -> None:
        """Take a step along the gradients and forget them."""
        with torch.no_grad():
            for name, matrix in self._matrices.items():
                parameter = self._parameters[name]
                matrix.copy_(parameter.flatten(1))
                matrix.grad = None if parameter.grad is None else parameter.grad.flatten(1)
            for part in self._parts:
                for group in part.optimiser.param_groups:
                    group["lr"] = rate * part.rate
                part.optimiser.step()
            for name, matrix in self._matrices.items():
                self._parameters[name].copy_(matrix.view_as(self._parameters[name]))
        for parameter in self._parameters.values():
            parameter.grad = None

    def moments(self) -> Moments:
        """What it remembers, not copied."""
        found: Moments = {}
        for part in self._parts:
            for name, weight in part.weights.items():
                for kind, value in part.optimiser.state.get(weight, {}).items():
                    found.setdefault(kind, {})[name] = value
        return found

    def restore(self, moments: Mapping[str, Mapping[str, Tensor]], updates: int) -> None:
        """Take up what it remembered.

        Args:
            moments: as :meth:`moments` gives them.
            updates: how many steps it made; for moments without "step", as they once were kept.
        """
        for part in self._parts:
            saved = part.optimiser.state_dict()
            saved["state"] = {}
            for i, name in enumerate(part.weights):
                kept = {
                    kind: moments[kind][name].clone()
                    for kind in part.kinds
                    if name in moments.get(kind, {})
                }
                if kept and "step" in part.kinds:
                    kept.setdefault("step", torch.tensor(float(updates)))
                if kept:
                    saved["state"][i] = kept
            part.optimiser.load_state_dict(saved)
