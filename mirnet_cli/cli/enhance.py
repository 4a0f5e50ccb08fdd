"""``mirnet enhance``."""

from dataclasses import replace

from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import Files, OutputPath, Words, flat
from mirnet_cli.restore.options import LoadOptions, PhotoOptions


@flat
def command(
    *,
    output: OutputPath = None,
    options: PhotoOptions,
    loading: LoadOptions,
    words: Words,
    files: Files = None,
) -> int:
    """Brighten and retouch photos: low light, dull exposure. Good photos are left alone.

    Each result is written beside its photo as NAME-enhanced.EXT unless -o says otherwise.
    """
    from mirnet_cli.cli.photos import improve

    return improve(files or [], output, options, replace(loading, task="enhance"), words)
