"""The pages under a finger."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.report.batch import BatchPage
from mirnet_cli.report.compare import compare
from tests.report import browser
from tests.report.test_batch import picture, result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.PROGRAM is None, reason="needs Chromium"),
]


def test_the_slider_of_compare_follows_a_finger(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(pixels).save(first)
    Image.fromarray(255 - pixels).save(second)
    compare(first, second, tmp_path / "page.html")
    with browser.tab(tmp_path / "profile") as tab:
        tab.open(tmp_path / "page.html")
        left, top, width, height = tab.place("#slider")
        middle = top + height / 2
        seen = []
        for share in (0.2, 0.8):
            end = (left + share * width, middle)
            tab.drag((left + width / 2, middle), (left + (share + 0.5) / 2 * width, middle), end)
            seen.append(float(tab.value("document.querySelector('#slider input').value")))
        assert seen[0] == pytest.approx(20, abs=5)
        assert seen[1] == pytest.approx(80, abs=5)


def test_photos_of_a_batch_open_and_close_under_a_finger(tmp_path: Path) -> None:
    page = BatchPage(tmp_path / "page.html", tmp_path)
    for name in ("a.png", "b.png"):
        before = picture(tmp_path / name, size=(600, 400))
        page.add(name, result(before, picture(tmp_path / f"after-{name}", 120, (600, 400))))
    page.write()
    with browser.tab(tmp_path / "profile") as tab:
        tab.open(page.target)
        tab.wait("document.querySelectorAll('tbody tr').length === 2")
        tab.tap_until("tbody tr", "document.querySelector('dialog').open")
        tab.wait("[...document.querySelectorAll('dialog img')].every(i => i.naturalWidth > 0)")
        left, top, width, height = tab.place("dialog .slider")
        tab.drag((left + width / 2, top + height / 2), (left + 0.9 * width, top + height / 2))
        slid = float(tab.value("document.querySelector('dialog .slider input').value"))
        assert slid == pytest.approx(90, abs=6)
        tab.tap_until("#after", "document.querySelector('#name').textContent.includes('b.png')")
        tab.tap_until("#close", "!document.querySelector('dialog').open")


def test_compare_zooms_and_pans_both_pictures_in_step(tmp_path: Path) -> None:
    """By buttons, keys, fingers and the mouse; at 100 % a pixel is one of the screen."""
    pixels = np.random.default_rng(0).integers(0, 256, (1800, 2400, 3), np.uint8)
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(pixels).save(first)
    Image.fromarray(255 - pixels).save(second)
    compare(first, second, tmp_path / "page.html")
    with browser.tab(tmp_path / "profile") as tab:
        tab.open(tmp_path / "page.html")
        left, top, width, height = tab.place("#slider")

        def seen() -> tuple[str, list[float], list[float]]:
            """The share in words, then left and width of each picture on the screen."""
            found = tab.value(
                "[document.querySelector('#tools output').value,"
                " ...[...document.querySelectorAll('#slider img')].map(image => {"
                " const r = image.getBoundingClientRect(); return [r.x, r.width]; })]"
            )
            return found[0], found[1], found[2]

        def press(key: str) -> None:
            event = f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})"
            tab.value(f"document.querySelector('#slider input').dispatchEvent({event})")

        fit = seen()
        assert fit[1] == fit[2] == pytest.approx([left, width], abs=1)
        for number, share in ((2, 1), (3, 2)):
            tab.value(f"document.querySelector('#tools button:nth-of-type({number})').click()")
            told, after, before = seen()
            assert told == f"{share}00 %"
            assert after == before
            assert after[1] == pytest.approx(share * 2400, abs=0.1)
            pressed = "document.querySelectorAll('#tools [aria-pressed=true]')"
            assert tab.value(f"[...{pressed}].map(b => b.innerText)") == [told]
        press("1")
        assert seen()[0] == "100 %"
        start = seen()[1][0]
        press("ArrowRight")
        assert seen()[1][0] == seen()[2][0] == pytest.approx(start - width / 8, abs=1)
        start = seen()[1][0]
        tab.drag((left + 100, top + 100), (left + 130, top + 100), (left + 160, top + 100))
        assert seen()[1][0] == seen()[2][0] == pytest.approx(start + 60, abs=1)
        assert tab.value("document.querySelector('#slider input').value") == "50"
        for share, over in ((0.45, True), (0.55, False)):
            at = f"document.elementFromPoint({left + share * width}, {top + 40})"
            assert tab.value(f"{at}.classList.contains('over')") is over
        press("0")
        assert seen() == fit
        middle = (left + width / 2, top + height / 2)
        for kind, far in (("touchStart", 50), ("touchMove", 60), ("touchMove", 100)):
            tab._touch(kind, (middle[0] - far, middle[1]), (middle[0] + far, middle[1]))
        tab._touch("touchEnd")
        assert seen()[1] == seen()[2]
        assert seen()[1][1] == pytest.approx(2 * width, rel=0.05)
