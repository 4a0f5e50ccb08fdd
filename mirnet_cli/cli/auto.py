"""``mirnet auto``."""

from dataclasses import replace
from typing import Annotated

from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import HOW, Files, OutputPath, Words, flat, option
from mirnet_cli.restore.options import LoadOptions, PhotoOptions
from mirnet_cli.restore.steps import AutoOptions, ChainOptions


@flat
def command(
    *,
    files: Files = None,
    output: OutputPath = None,
    auto: AutoOptions,
    options: PhotoOptions,
    loading: LoadOptions,
    dry_run: Annotated[
        bool, option("--dry-run", panel=HOW, help="Say what would be done; write nothing.")
    ] = False,
    words: Words,
) -> int:
    """Look at photos, and do what they need: less noise, more light; nothing to good ones.

    Each result is written next to its photo, as NAME-auto.EXT unless -o says otherwise. What was
    found and done is said in a line.
    """
    from mirnet_cli.cli.photos import improve

    chain = replace(ChainOptions.beginning(loading), task="auto", auto=auto)
    return improve(files or [], output, options, chain, words, dry_run=dry_run)
