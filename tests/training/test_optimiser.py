"""Muon and AdamW: which weights take which step, how large it is, and what is remembered."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mirnet_cli.errors import UsageError
from mirnet_cli.training import plan
from mirnet_cli.training.optimiser import Optimiser

DECAY = 1e-4


def network() -> nn.Sequential:
    torch.manual_seed(0)
    depthwise = nn.Conv2d(16, 16, 3, groups=16)
    return nn.Sequential(nn.Conv2d(8, 16, 3), depthwise, nn.Conv2d(16, 24, 1))


def steps(model: nn.Module, optimiser: Optimiser, count: int, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        loss = model(torch.rand(2, 8, 9, 9, generator=generator)).square().mean()
        loss.backward()
        optimiser.step(1e-3)


def changes(kind: str) -> dict[str, torch.Tensor]:
    model = network()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    steps(model, Optimiser(model, kind, DECAY), 1)
    return {name: value.detach() - before[name] for name, value in model.named_parameters()}


def test_muon_steps_in_all_directions_of_a_matrix_alike() -> None:
    muon, adamw = changes("muon"), changes("adamw")
    for name in ("0.weight", "2.weight"):
        evenness = {}
        for kind, change in (("muon", muon), ("adamw", adamw)):
            values = torch.linalg.svdvals(change[name].flatten(1))
            evenness[kind] = float(values.median() / values[0])
        assert evenness["muon"] > 0.5 > 0.4 > evenness["adamw"]


def test_muon_leaves_biases_and_single_channels_to_adamw() -> None:
    muon, adamw = changes("muon"), changes("adamw")
    for name in ("0.bias", "1.weight", "1.bias", "2.bias"):
        assert torch.equal(muon[name], adamw[name]), name


def test_steps_are_as_large_as_the_rate_says() -> None:
    change = changes("muon")["0.weight"]
    # 0.2 of the rate for each weight, as AdamW's usually are, times the factor for matrices.
    assert float(change.square().mean().sqrt()) == pytest.approx(6 * 0.2 * 1e-3, rel=0.3)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_weights_decay_by_what_is_asked_for(kind: str) -> None:
    model = network()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for value in model.parameters():
        value.grad = torch.zeros_like(value)
    Optimiser(model, kind, 10.0).step(1e-3)
    for name, value in model.named_parameters():
        rate = 6e-3 if kind == "muon" and name in ("0.weight", "2.weight") else 1e-3
        assert torch.allclose(value, before[name] * (1 - 10 * rate), atol=1e-6), name


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_what_it_remembers_can_be_taken_up(kind: str, layout: torch.memory_format) -> None:
    once, twice = (network().to(memory_format=layout) for _ in range(2))
    optimiser = Optimiser(once, kind, DECAY)
    steps(once, optimiser, 2)
    twice.load_state_dict(once.state_dict())
    other = Optimiser(twice, kind, DECAY)
    other.restore(optimiser.moments(), 2)
    steps(once, optimiser, 2, seed=2)
    steps(twice, other, 2, seed=2)
    for name, value in once.state_dict().items():
        assert torch.equal(value, twice.state_dict()[name]), name


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no optimiser 'sgd', choose from adamw, muon"):
        Optimiser(network(), "sgd", DECAY)


def test_muon_is_refused_before_any_work_where_torch_does_not_have_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    config = tmp_path / "adamw.toml"
    config.write_text("optimiser = 'adamw'")
    with pytest.raises(UsageError, match=r"Muon needs torch 2\.9 or newer"):
        plan.make("denoise", config=None, seed=0, origin=None, sizes={})
    plan.make("denoise", config=config, seed=0, origin=None, sizes={})
