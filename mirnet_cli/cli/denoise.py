"""``mirnet denoise``."""

from dataclasses import replace
from functools import partial

from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import LIGHT, Files, OutputPath, Words, flat
from mirnet_cli.restore.options import LoadOptions, PhotoOptions


@partial(flat, without=LIGHT)
def command(
    *,
    output: OutputPath = None,
    options: PhotoOptions,
    loading: LoadOptions,
    words: Words,
    files: Files = None,
) -> int:
    """Remove camera noise from photos.

    Each result is written beside its photo as NAME-denoised.EXT unless -o says otherwise.
    """
    from mirnet_cli.cli.photos import improve

    return improve(files or [], output, options, replace(loading, task="denoise"), words)
