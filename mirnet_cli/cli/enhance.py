"""``mirnet enhance``."""

from dataclasses import replace

from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import Files, FurtherScale, OutputPath, Words, flat
from mirnet_cli.restore.options import PhotoOptions
from mirnet_cli.restore.steps import ChainOptions


@flat
def command(
    *,
    output: OutputPath = None,
    scale: FurtherScale = None,
    options: PhotoOptions,
    loading: ChainOptions,
    words: Words,
    files: Files = None,
) -> int:
    """Brighten and retouch photos: low light, dull exposure. Good photos are left alone.

    Each result is written next to its photo, as NAME-enhanced.EXT unless -o says otherwise.
    """
    from mirnet_cli.cli.photos import improve

    loading = replace(loading, task="enhance", scale=scale)
    return improve(files or [], output, options, loading, words)
