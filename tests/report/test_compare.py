"""``mirnet compare``: the page and the picture hold what they say, and need nothing else."""

import base64
import io
import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mirnet_cli.cli import main
from mirnet_cli.errors import InputError
from mirnet_cli.report import pictures
from mirnet_cli.report.compare import compare
from tests.report import browser

Array = NDArray[np.uint8]


class Page(HTMLParser):
    """The addresses and the words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: dict[str, str] = {}
        self.addresses: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.addresses += [found[name] or "" for name in ("src", "href") if name in found]
        if tag == "img":
            self.images[found["alt"] or ""] = found["src"] or ""

    def handle_data(self, data: str) -> None:
        self.words += data

    def pixels(self, start: str) -> Array:
        address = next(src for alt, src in self.images.items() if alt.startswith(start))
        data = base64.b64decode(address.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def noise(height: int, width: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: Array) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path, Array, Array]:
    before = noise(500, 700)
    after = before.copy()
    after[60:100, 80:120] //= 2
    return save(tmp_path / "a.png", before), save(tmp_path / "b.png", after), before, after


def test_the_page_holds_the_pixels(pair: tuple[Path, Path, Array, Array], tmp_path: Path) -> None:
    first, second, before, after = pair
    done = compare(first, second, tmp_path / "page.html", at=[(200, 200), (0, 0)])
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert (done.kind, done.width, done.height) == ("page", 700, 500)
    place = np.s_[20:380, 20:380]
    assert np.array_equal(page.pixels("before, at 200, 200"), before[place])
    assert np.array_equal(page.pixels("after, at 200, 200"), after[place])
    difference = before[place].astype(int) - after[place]
    assert np.array_equal(page.pixels("difference, at 200, 200"), difference)
    assert np.array_equal(page.pixels("before, at 0, 0; from 0, 0"), before[:360, :360])
    assert page.pixels("difference of the whole").shape == (500, 700, 3)


def test_the_page_needs_nothing_else(pair: tuple[Path, Path, Array, Array], tmp_path: Path) -> None:
    first, second, *_ = pair
    compare(first, second, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    page = Page(text)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src 'none'" in text


def test_names_are_words_not_markup(tmp_path: Path) -> None:
    first = save(tmp_path / "<script>$x&.png", noise(8, 8))
    second = save(tmp_path / "b\n.png", noise(8, 8, 1))
    compare(first, second, tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert "<script>$x&.png → b\\n.png" in page.words


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 2)])
def test_tiny_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    first = save(tmp_path / "a.png", noise(*size))
    assert compare(first, first, tmp_path / "page.html").psnr is None
    assert "no pixel differs at 8 bits" in (tmp_path / "page.html").read_text("utf-8")


def test_a_place_outside_is_refused(pair: tuple[Path, Path, Array, Array], tmp_path: Path) -> None:
    first, second, *_ = pair
    with pytest.raises(InputError, match="700,0 is not within its 700x500 pixels"):
        compare(first, second, tmp_path / "page.html", at=[(0, 0), (700, 0)])
    assert not (tmp_path / "page.html").exists()


def test_the_place_of_most_change_is_shown() -> None:
    before = np.full((2000, 3000, 3), 128, np.uint8)
    after = before.copy()
    after[1500:1510, 2500:2520] = 255
    pair = pictures.Pair(before, after)
    found = {detail.why: detail for detail in pictures.details(pair, pictures.difference(pair))}
    place = found["most change"]
    assert place.left <= 2500 < place.left + place.width
    assert place.top <= 1500 < place.top + place.height


def test_a_smaller_picture_before_is_enlarged(tmp_path: Path) -> None:
    first = save(tmp_path / "a.png", np.full((50, 71, 3), 90, np.uint8))
    second = save(tmp_path / "b.png", np.full((100, 142, 3), 100, np.uint8))
    done = compare(first, second, tmp_path / "page.html")
    assert (done.width, done.height) == (142, 100)
    assert done.psnr == pytest.approx(20 * np.log10(255 / 10))
    assert "before is 71x50, enlarged" in (tmp_path / "page.html").read_text("utf-8")


def test_pictures_of_other_shapes(tmp_path: Path) -> None:
    first = save(tmp_path / "a.png", noise(50, 70))
    second = save(tmp_path / "b.png", noise(70, 50))
    with pytest.raises(InputError):
        compare(first, second, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_depth_grey_and_alpha(tmp_path: Path) -> None:
    deep = np.full((20, 20), 257 * 100, np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    clear = np.zeros((20, 20, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "b.png")
    pair = pictures.read_pair(tmp_path / "a.png", tmp_path / "b.png")
    assert np.all(pair.before == 100)
    assert np.all(pair.after == 255)


def test_side_by_side(tmp_path: Path) -> None:
    before, after = noise(30, 20), noise(30, 20, 1)
    save(tmp_path / "a.png", before)
    save(tmp_path / "b.png", after)
    compare(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png")
    both = np.asarray(Image.open(tmp_path / "c.png"))
    assert np.array_equal(both[:, :20], before)
    assert np.array_equal(both[:, -20:], after)
    wide = pictures.Pair(noise(10, 40), noise(10, 40, 1))
    assert pictures.side_by_side(wide).shape == (28, 40, 3)


def test_as_a_command(
    pair: tuple[Path, Path, Array, Array],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "a.png", "b.png", "--json", "--quiet"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["output"], said["status"]) == ("b-compare.html", "done")
    assert main(["compare", "a.png", "b.png"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["compare", "a.png", "b.png", "--overwrite"]) == 0
    assert main(["compare", "a.png", "b.png", "-o", "c.jpg", "--quality", "80"]) == 0
    assert Image.open("c.jpg").format == "JPEG"
    capsys.readouterr()
    for words, code in (
        (["compare", "a.png", "b.png", "-o", "b.png", "--overwrite"], 2),
        (["compare", "a.png", "b.png", "-o", "page.txt"], 2),
        (["compare", "a.png", "b.png", "--at", "1"], 2),
        (["compare", "a.png", "gone.png"], 1),
    ):
        assert main(words) == code
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(browser.PROGRAM is None, reason="needs Chromium")
def test_in_a_browser(pair: tuple[Path, Path, Array, Array], tmp_path: Path) -> None:
    first, second, before, after = pair
    page = tmp_path / "page.html"
    compare(first, second, page, at=[(200, 200)])
    shot = tmp_path / "shot.png"
    subprocess.run(
        [
            str(browser.PROGRAM),
            *browser.OPTIONS,
            "--hide-scrollbars",
            *("--window-size=1300,2400", f"--screenshot={shot}", page.as_uri()),
        ],
        capture_output=True,
        check=True,
        timeout=120,
    )
    seen = np.asarray(Image.open(shot).convert("RGB"))
    assert contains(seen, before[200:204, 300:310])
    assert contains(seen, after[70:74, 90:100])


def contains(picture: Array, part: Array) -> bool:
    """Whether a part appears somewhere in a picture, pixel for pixel."""
    height, width = part.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(picture[..., 0], (height, width))
    return bool(np.any(np.all(windows == part[..., 0], axis=(-1, -2))))
