"""Plain aligned columns: readable on a terminal, quick to make, easy to cut in a script."""

from collections.abc import Sequence

from mirnet_cli.files import printable

LEFT, RIGHT = "<", ">"


def lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[str] | None = None
) -> list[str]:
    """Header and rows as lines of columns, two spaces apart.

    Args:
        header: names of the columns.
        rows: of as many cells as the header; made safe for terminals here.
        align: :data:`LEFT` or :data:`RIGHT` for each column; left where not given.
    """
    table = [header, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    sides = align or [LEFT] * len(header)
    return [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def size(count: int) -> str:
    """Bytes for people: ``4.2 MB``, in powers of 1000 as file managers show them."""
    number, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{number:.1f} {units[0]}"


def memory(count: int) -> str:
    """Memory for people: ``7.8 GiB``."""
    return f"{count / 2**30:.1f} GiB"
