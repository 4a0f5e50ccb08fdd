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
