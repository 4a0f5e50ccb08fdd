"""``mirnet enhance``."""

from typing import Annotated

import typer

from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import Computing, Look, Output, Words, flat


@flat
def command(
    output: Output,
    look: Look,
    computing: Computing,
    words: Words,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE", help="Photos or addresses; - is standard input.", show_default=False
        ),
    ] = None,
) -> int:
    """Brighten and retouch photos: low light, dull exposure. Good photos are left alone.

    Each result is written beside its photo as NAME-enhanced.EXT unless -o says otherwise.
    """
    from mirnet_cli.cli.photos import improve

    return improve("enhance", files or [], output, look, computing, words)
