"""What turns gradients into steps: AdamW, or Muon for the weights that are matrices.

Muon (Jordan et al., 2024) takes momentum's step in all directions of a matrix alike, instead of
mostly in its few strongest ones; a convolution is the matrix from its window's values to its
channels. It learns more in a step than AdamW does, which stays for biases and single factors.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn, optim

OPTIMISERS = ("adamw", "muon")

_MATRIX_RATE = 6.0
"""Muon's learning rate over AdamW's, at steps that "match_rms_adamw" makes alike in size."""

Moments = dict[str, dict[str, Tensor]]
"""What an optimiser remembers: by kind ("exp_avg", "exp_avg_sq", "momentum_buffer") and name."""


class Optimiser:
    """Updates a network's weights, all at one learning rate.

    Args:
        model: the network.
        kind: "adamw" for all weights, or "muon" for those of convolutions of more than one channel
            each, and AdamW for the rest.
        weight_decay: share of the weights that a step at rate 1 would take away.

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
        self._adamw = optim.AdamW(others.values(), weight_decay=weight_decay)
        self._tracked: list[tuple[optim.Optimizer, dict[str, Tensor], float]] = [
            (self._adamw, others, 1.0)
        ]
        if self._matrices:
            muon = optim.Muon(
                self._matrices.values(),
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            self._tracked.append((muon, self._matrices, _MATRIX_RATE))

    def step(self, rate: float) -> None:
        """Takes a step along the gradients and forgets them."""
        with torch.no_grad():
            for name, matrix in self._matrices.items():
                parameter = self._parameters[name]
                matrix.copy_(parameter.flatten(1))
                matrix.grad = None if parameter.grad is None else parameter.grad.flatten(1)
            for optimiser, _, factor in self._tracked:
                for group in optimiser.param_groups:
                    group["lr"] = rate * factor
                optimiser.step()
            for name, matrix in self._matrices.items():
                self._parameters[name].copy_(matrix.view_as(self._parameters[name]))
                matrix.grad = None
        for parameter in self._parameters.values():
            parameter.grad = None

    def moments(self) -> Moments:
        """What it remembers, not copied."""
        found: Moments = {}
        for name, state in self._states():
            for kind, value in state.items():
                if kind != "step":
                    found.setdefault(kind, {})[name] = value
        return found

    def restore(self, moments: Mapping[str, Mapping[str, Tensor]], updates: int) -> None:
        """Takes up what it remembered after so many updates."""
        for optimiser, parameters, _ in self._tracked:
            saved = optimiser.state_dict()
            saved["state"] = {}
            for i, name in enumerate(parameters):
                kept = {kind: each[name].clone() for kind, each in moments.items() if name in each}
                if kept and optimiser is self._adamw:
                    kept["step"] = torch.tensor(float(updates))
                if kept:
                    saved["state"][i] = kept
            optimiser.load_state_dict(saved)

    def _states(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for optimiser, parameters, _ in self._tracked:
            for name, parameter in parameters.items():
                if parameter in optimiser.state:
                    yield name, optimiser.state[parameter]
