"""Weights put on the Hugging Face Hub with their card, so that ``hf://OWNER/REPO`` loads them."""

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from mirnet_cli import settings
from mirnet_cli._version import __version__
from mirnet_cli.errors import DownloadError, ModelError, UsageError
from mirnet_cli.files import expanded, reason
from mirnet_cli.models import catalogue, fetch, hub
from mirnet_cli.models.catalogue import TASKS
from mirnet_cli.models.hub_errors import worded
from mirnet_cli.models.weights import UNKNOWN_LICENCE, Weights, parse

MAX_CARD = 1 << 20
# What the Hub takes for "license:"; anything else is "other", with its name beside it.
_LICENCES = frozenset(
    {
        "apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "unlicense",
    }
)  # fmt: skip


def push(
    repository: str, what: str, *, card: Path | None = None, private: bool = False
) -> tuple[str, Weights]:
    """Upload weights in mirnet's own format, and a card, in one commit.

    Args:
        repository: ``"owner/name"``; made where it does not exist.
        what: a shipped model's name, or a file in mirnet's own format.
        card: Markdown; by default the model's own, or one made of what the file says.
        private: where the repository is made, only its owner sees it.

    Returns:
        The address of the repository, and the weights.

    Raises:
        UsageError: for names that cannot be.
        ModelError: for weights that are not fit to be published, or an upload that fails.
    """
    target = _repository(repository)
    data, weights, own_card = _weights(what)
    if weights.licence == UNKNOWN_LICENCE:
        raise ModelError(
            "its licence is not known",
            "state it: mirnet models convert IN OUT --licence SPDX",
            subject=weights.path,
        )
    given = card or own_card
    text = _read_card(given) if given is not None else made_card(weights, target.repository)
    address = _upload(target.repository, weights.name, data, text, private=private)
    return address, weights


def _repository(text: str) -> hub.Address:
    with contextlib.suppress(UsageError):
        target = hub.parse(text)
        if not target.file and target.revision == "main":
            return target
    raise UsageError("not a repository on the Hub", "write OWNER/REPO", subject=text)


def made_card(weights: Weights, repository: str) -> str:
    """A card for weights that have none: what the file itself says, and how to use it."""
    parameters = sum(int(tensor.size) for tensor in weights.network.tensors.values())
    second = "" if weights.clean is None else ", and as many for clean pictures"
    training = json.dumps(dict(weights.training), indent=2, sort_keys=True)
    return f"""---
{_licence(weights.licence)}
library_name: mirnet
pipeline_tag: image-to-image
tags:
  - mirnet
  - {weights.task}
datasets: []
metrics:
  - psnr
  - ssim
---

# {weights.name}

Weights of `{weights.network.family}` for {weights.task}, {parameters:,} parameters{second}.

{_use(weights, f"hf://{repository}")}

| | |
|---|---|
| scales | {", ".join(map(str, weights.scales))} |
| licence | {_plain(weights.licence)} |
| sha256 | `{weights.sha256}` |

## Training

```json
{training}
```
"""


def _use(weights: Weights, address: str) -> str:
    """How to use weights, as a block of code; no command takes the two views of a sensor."""
    if weights.task not in TASKS:
        return f'''```python
import mirnet_cli as mirnet

# views: HxWx6, the left view first
result = mirnet.load("{address}")(views)
```'''
    scale = f" --scale {weights.default_scale}" if weights.task == "upscale" else ""
    return f"""```bash
mirnet {weights.task}{scale} photo.jpg --weights {address}
```"""


def _weights(what: str) -> tuple[bytes, Weights, Path | None]:
    if any(entry.name == what for entry in catalogue.entries()):
        entry = catalogue.find(what)
        if not entry.shipped:
            raise ModelError(
                "not yours to publish again", "it is public already", subject=entry.name
            )
        data, _, path = fetch.verified(entry)
        return data, parse(data, path), catalogue.card_path(entry)
    path = expanded(what)
    data, _ = fetch.read(path, trusted=True)
    return data, parse(data, path), None


def _read_card(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CARD + 1)
        if len(data) <= MAX_CARD:
            return data.decode("utf-8")
    except OSError as error:
        raise ModelError(f"the card cannot be read ({reason(error)})", subject=path) from None
    except UnicodeDecodeError:
        pass
    raise ModelError("no card in Markdown", "give a text file in UTF-8", subject=path)


def _upload(repository: str, name: str, data: bytes, card: str, *, private: bool) -> str:
    if settings.offline():
        raise DownloadError(
            "nothing was sent: network access is switched off",
            "unset MIRNET_OFFLINE and HF_HUB_OFFLINE",
            subject=repository,
        )
    settings.quiet_hub()
    try:
        with hub.patience():
            import huggingface_hub
            from huggingface_hub.utils.tqdm import disable_progress_bars

            disable_progress_bars()
            api = huggingface_hub.HfApi(
                endpoint=settings.hub_endpoint(),
                library_name="mirnet",
                library_version=__version__,
            )
            api.create_repo(repository, private=private, exist_ok=True)
            files: Sequence[tuple[str, bytes]] = (
                (f"{name}.safetensors", data),
                ("README.md", card.encode()),
            )
            api.create_commit(
                repository,
                operations=[
                    huggingface_hub.CommitOperationAdd(path, content) for path, content in files
                ],
                commit_message=f"Upload {name} with mirnet",
            )
    except MemoryError:
        raise
    except Exception as error:
        raise worded(error, f"hf://{repository}", sending=True) from error
    return f"hf://{repository}"


def _licence(licence: str) -> str:
    name = licence.lower()
    if name in _LICENCES:
        return f"license: {name}"
    return f"license: other\nlicense_name: {re.sub(r'[^a-z0-9.-]+', '-', name)}"


def _plain(text: str) -> str:
    return re.sub(r"[|`\r\n<>]", " ", text)
