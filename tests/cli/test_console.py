"""What a person at a terminal sees."""

from mirnet_cli.cli.console import Console


def test_a_photo_that_is_begun_again_is_counted_once() -> None:
    display = Console().display(files=2)
    for name in ("a.jpg", "a.jpg", "b.jpg"):
        display.start(name)
    assert display._count() == "photo 2 of 2"
