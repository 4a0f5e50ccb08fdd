"""``mirnet compare``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mirnet_cli import stores, values
from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import WHERE, Words, flat, option
from mirnet_cli.errors import UsageError
from mirnet_cli.report.compare import CompareOptions


@flat
def command(
    *,
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The photo before.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The photo after.")],
    output: Annotated[
        str | None,
        option(
            *("-o", "--output"),
            metavar="PATH",
            panel=WHERE,
            help="A page (html), or a picture with both side by side (png, jpg …). "
            "[default: AFTER-compare.html]",
        ),
    ] = None,
    options: CompareOptions,
    at: Annotated[
        list[Any] | None,
        option(
            "--at",
            metavar="X,Y",
            panel="Options",
            parser=values.point,
            help="Show this place at 100 %; may be repeated. [default: the places that tell most]",
        ),
    ] = None,
    words: Words,
) -> int:
    """Show before and after: a page with a slider, crops at 100 % and what changed.

    The page is one file that needs no network. With -o x.png it is a picture with both instead.
    """
    from dataclasses import asdict

    from mirnet_cli.cli.console import Console
    from mirnet_cli.files import ends_as_folder, is_folder, same_file
    from mirnet_cli.report.compare import NO_DIFFERENCE, compare, kind_of
    from mirnet_cli.restore.names import output_name

    default = output_name(after.name, suffix="-compare", extension="html")
    target = after.with_name(default) if output is None else Path(output)
    if output is not None and (ends_as_folder(output) or is_folder(target)):
        target = target / default
    if output == "-":
        raise UsageError("a comparison is written to a file", "name one with -o", subject="-o -")
    kind_of(target.name)
    for photo in (before, after):
        if same_file(target, photo):
            raise UsageError("output and input are the same file", "name another", subject=photo)
    for photo in (before, after):
        stores.of(photo).check_source(photo)
    done = compare(before, after, target, options, at=at or ())
    console = Console(json=words.json, quiet=words.quiet, verbose=words.verbose)
    ratio = NO_DIFFERENCE if done.psnr is None else f"PSNR between the two {done.psnr:.2f} dB"
    console.note(f"{before} | {after} -> {done.output} ({ratio})")
    console.record({"before": str(before), "after": str(after), "status": "done", **asdict(done)})
    return 0
