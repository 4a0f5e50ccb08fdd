"""``mirnet upscale``."""

from dataclasses import replace
from functools import partial
from typing import Annotated

from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import Files, OutputPath, Words, flat, scale_option
from mirnet_cli.restore.options import LIGHT, PhotoOptions
from mirnet_cli.restore.steps import ChainOptions


@partial(flat, without=LIGHT)
def command(
    *,
    files: Files = None,
    output: OutputPath = None,
    scale: Annotated[
        int | None,
        scale_option(
            "How many times larger; 1 sharpens at the size given. "
            "[default: 2, or the only one of the weights]"
        ),
    ] = None,
    options: PhotoOptions,
    loading: ChainOptions,
    words: Words,
) -> int:
    """Enlarge photos 2, 3 or 4 times, with detail; or restore blur at the size given.

    Each result is written next to its photo, as NAME-x2.EXT unless -o says otherwise.
    """
    from mirnet_cli.cli.photos import improve

    loading = replace(loading, task="upscale", scale=scale)
    return improve(files or [], output, options, loading, words)
