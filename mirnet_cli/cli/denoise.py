"""``mirnet denoise``."""

from dataclasses import replace
from functools import partial

from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import Files, FurtherScale, OutputPath, Words, flat
from mirnet_cli.restore.options import LIGHT, PhotoOptions
from mirnet_cli.restore.steps import ChainOptions


@partial(flat, without=LIGHT)
def command(
    *,
    output: OutputPath = None,
    scale: FurtherScale = None,
    options: PhotoOptions,
    loading: ChainOptions,
    words: Words,
    files: Files = None,
) -> int:
    """Remove camera noise from photos.

    Each result is written next to its photo, as NAME-denoised.EXT unless -o says otherwise.
    """
    from mirnet_cli.cli.photos import improve

    loading = replace(loading, task="denoise", scale=scale)
    return improve(files or [], output, options, loading, words)
