"""``mirnet upscale``."""

from typing import Annotated

import typer

from mirnet_cli.cli import values
from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import HOW, Computing, Look, Output, Words, flat, option


@flat
def command(
    *,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE", help="Photos or addresses; - is standard input.", show_default=False
        ),
    ] = None,
    output: Output,
    scale: Annotated[
        int | None,
        option(
            "--scale",
            metavar="1|2|3|4",
            panel=HOW,
            parser=values.scale,
            help="How many times larger; 1 sharpens at the size given. "
            "[default: 2, or the only one of the weights]",
        ),
    ] = None,
    look: Look,
    computing: Computing,
    words: Words,
) -> int:
    """Enlarge photos 2, 3 or 4 times, with detail; or restore blur at the size given.

    Each result is written beside its photo as NAME-x2.EXT unless -o says otherwise.
    """
    from mirnet_cli.cli.photos import improve

    return improve("upscale", files or [], output, look, computing, words, scale=scale)
