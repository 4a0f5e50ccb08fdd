"""``mirnet batch --report``: the page tells of every photo, and works in a browser."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.errors import OutputError, UsageError
from mirnet_cli.report.batch import BatchPage
from mirnet_cli.restore.result import Result
from tests.report import browser

Real = Callable[..., Any]


def picture(path: Path, value: int = 90, size: tuple[int, int] = (60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value // 2, 20)).save(path)
    return path


def result(source: Path, target: Path | None, status: str = "done", **more: Any) -> Result:
    facts: dict[str, Any] = {"warnings": (), "error": None, "seconds": 1.5, **more}
    return Result(
        input=str(source),
        output=None if target is None else str(target),
        status=status,  # type: ignore[arg-type]
        task="denoise",
        scale=1,
        model="denoise",
        sha256="00",
        runtime="openvino",
        device="cpu",
        precision="fp32",
        **facts,
    )


def photos(page: Path) -> dict[str, dict[str, Any]]:
    text = page.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="photos">(.*?)</script>', text)
    assert found
    return {row["name"]: row for row in json.loads(found[1])}


def test_a_photo_and_its_pictures(tmp_path: Path) -> None:
    page = BatchPage(tmp_path / "out" / "page.html", tmp_path)
    before, after = picture(tmp_path / "a b.png", 90), picture(tmp_path / "done" / "a b.png", 120)
    page.add("a b.png", result(before, after, warnings=("odd",)))
    page.write()
    (row,) = photos(tmp_path / "out" / "page.html").values()
    assert (row["size"], row["result"], row["warnings"]) == ([60, 40], [60, 40], ["odd"])
    assert row["psnr"] == pytest.approx(20 * np.log10(255) - 10 * np.log10((900 + 225) / 3))
    assert [sum(channel) for moment in row["tones"] for channel in moment] == [1000] * 6
    assert (tmp_path / "out" / row["link"].replace("%20", " ")).resolve() == before
    made = tmp_path / "out" / "page-files"
    kinds = ("before", "after", "small-before", "small-after", "0-before", "0-after")
    assert {path.name for path in made.iterdir()} == {f"{row['files']}-{k}.jpg" for k in kinds}
    shown = np.asarray(Image.open(made / f"{row['files']}-0-after.jpg"))
    assert abs(int(shown[20, 30, 0]) - 120) <= 2


def test_how_each_was_computed_is_told(tmp_path: Path) -> None:
    page = BatchPage(tmp_path / "page.html", tmp_path)
    source = picture(tmp_path / "a.png")
    page.add("plain", result(source, source))
    page.add("clean", result(source, source, input_quality="clean", tile=64))
    page.write()
    assert {name: row["how"] for name, row in photos(tmp_path / "page.html").items()} == {
        "plain": "openvino cpu fp32",
        "clean": "openvino cpu fp32, taken for clean, tiles of 64",
    }


def test_a_crop_is_compared_with_its_part(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 20:50] = 200
    Image.fromarray(pixels).save(source)
    target = tmp_path / "b.png"
    Image.fromarray(pixels[10:30, 20:50]).save(target)
    page = BatchPage(tmp_path / "page.html", tmp_path, crop=(20, 10, 30, 20))
    page.add("a.png", result(source, target, width=30, height=20))
    page.write()
    row = photos(tmp_path / "page.html")["a.png"]
    assert (row["psnr"], row["view"]) == (None, [30, 20])


def test_what_a_later_run_skips_keeps_its_facts(tmp_path: Path) -> None:
    before, after = picture(tmp_path / "a.png"), picture(tmp_path / "done" / "a.png")
    for status, seconds in (("done", 4.5), ("skipped", None)):
        page = BatchPage(tmp_path / "page.html", tmp_path)
        page.add("a.png", result(before, after, status, seconds=seconds))
        page.write()
    row = photos(tmp_path / "page.html")["a.png"]
    assert (row["status"], row["seconds"], row["view"]) == ("skipped", 4.5, [60, 40])


def test_a_page_of_other_folders_tells_nothing_of_these(tmp_path: Path) -> None:
    for day, status, value in (("day1", "done", 90), ("day2", "skipped", 200)):
        before = picture(tmp_path / day / "a.png", value)
        after = picture(tmp_path / f"{day}-x" / "a.png", value)
        page = BatchPage(tmp_path / "page.html", tmp_path / day)
        page.add("a.png", result(before, after, status, seconds=None))
        page.write()
    row = photos(tmp_path / "page.html")["a.png"]
    assert (row["link"], row["target"]) == ("day2/a.png", "day2-x/a.png")
    assert (row["input"], row["output"]) == (str(before), str(after))
    shown = np.asarray(Image.open(page.files / f"{row['files']}-after.jpg"))
    assert abs(int(shown[20, 30, 0]) - 200) <= 2


def test_what_has_no_pictures_says_why(tmp_path: Path) -> None:
    page = BatchPage(tmp_path / "page.html", tmp_path)
    page.add("a.jpg", result(tmp_path / "a.jpg", None, "failed", error="not a picture"))
    gone = picture(tmp_path / "b.png")
    page.add("b.png", result(gone, tmp_path / "gone.png"))
    page.write()
    rows = photos(tmp_path / "page.html")
    assert (rows["a.jpg"]["error"], rows["a.jpg"]["files"]) == ("not a picture", None)
    assert "no pictures: " in rows["b.png"]["note"]


def test_names_are_words_not_markup(tmp_path: Path) -> None:
    page = BatchPage(tmp_path / "page.html", Path("<i>$x"))
    name = "</script><b>$y\n\udcff.png"
    page.add(name, result(tmp_path / name, None, "failed", error="<u>"))
    page.write()
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<i>$x" not in text
    assert "<b>" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert [*photos(tmp_path / "page.html")] == ["</script><b>$y\\n\\xff.png"]


def test_only_a_report_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<p>mine")
    with pytest.raises(UsageError, match="is not a report by mirnet"):
        BatchPage(tmp_path / "mine.html", tmp_path)
    with pytest.raises(UsageError, match="end its name in"):
        BatchPage(tmp_path / "mine.txt", tmp_path)


def test_a_folder_that_cannot_be_made_is_known_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file/page.html", "file/deep/page.html"):
        with pytest.raises(OutputError, match=r"cannot be written: .*; choose .* --report"):
            BatchPage(tmp_path / name, tmp_path)


def test_a_photo_on_another_drive_has_its_whole_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_drive(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", other_drive)
    page = BatchPage(tmp_path / "page.html", tmp_path)
    page.add("a b.png", result(tmp_path / "a b.png", None, "failed", error="gone"))
    page.write()
    (row,) = photos(tmp_path / "page.html").values()
    assert row["link"] == (tmp_path / "a b.png").as_uri()


def test_as_a_command(real: Real) -> None:
    for name in ("in/a.png", "in/day/b.png"):
        picture(Path(name))
    Path("in/bad.jpg").write_text("bad")
    words = ("batch", "in", "-r", "--task", "denoise", "--report")
    ran = real(*words, "page.html", "--quiet")
    assert ran.code == 1
    rows = photos(Path("page.html"))
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "done",
        "bad.jpg": "failed",
        "day/b.png": "done",
    }
    assert real(*words, "page.html", "--quiet").code == 1
    again = photos(Path("page.html"))
    assert again["a.png"]["seconds"] == rows["a.png"]["seconds"]
    refused = real(*words, "in/page.html")
    assert refused.code == 2
    assert (
        "its pictures would be taken for photos there; write it to in-denoised/page.html"
        in refused.err
    )


_USE_IT = """
<script>
const names = () => [...document.querySelectorAll("tbody td.name")].map(cell => cell.textContent);
const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const button = text => [...document.querySelectorAll("button")].find(b => b.textContent === text);
addEventListener("load", () => setTimeout(() => {
  const told = { rows: names().length };
  told.loaded = [...document.images].filter(each => each.complete && each.naturalWidth).length;
  button("seconds").click(); button("seconds").click();
  told.slowest = names()[0];
  button("failed").click();
  told.failed = names();
  button("all").click(); button("photo").click();
  press(document.querySelector("tbody tr"), "Enter");
  told.opened = document.getElementById("name").textContent;
  told.crops = document.querySelectorAll("dialog .exact").length;
  press(document.getElementById("view"), "ArrowRight");
  told.next = document.getElementById("name").textContent;
  document.getElementById("close").click();
  told.closed = !document.getElementById("view").open;
  document.getElementById("find").value = "0077";
  document.getElementById("find").dispatchEvent(new Event("input"));
  told.found = names();
  document.body.append(Object.assign(document.createElement("pre"), { id: "told", textContent: JSON.stringify(told) }));
}, 1500));
</script></body>"""  # noqa: E501


@pytest.mark.slow
@pytest.mark.skipif(browser.PROGRAM is None, reason="needs Chromium")
def test_in_a_browser_with_thousands_of_photos(tmp_path: Path) -> None:
    before, after = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", 120)
    page = BatchPage(tmp_path / "page.html", tmp_path)
    page.add("0000.png", result(before, after))
    first = page._rows["0000.png"]
    for number in range(1, 3000):
        name = f"{number:04}"
        facts = {"name": f"{name}.png", "key": name, "number": number, "seconds": number}
        page._rows[name] = {**first, **facts, "files": name}
        for kind in ("before", "after"):
            small = page.files / f"{first['files']}-small-{kind}.jpg"
            os.link(small, page.files / f"{name}-small-{kind}.jpg")
    page.add("9999.jpg", result(tmp_path / "gone", None, "failed", error="no such file"))
    page.write()
    used = tmp_path / "used.html"
    used.write_text(page.target.read_text("utf-8").replace("</body>", _USE_IT), "utf-8")
    ran = subprocess.run(
        [
            str(browser.PROGRAM),
            *browser.OPTIONS,
            "--virtual-time-budget=10000",
            *("--window-size=1300,900", "--dump-dom", used.as_uri()),
        ],
        capture_output=True,
        check=True,
        timeout=120,
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', ran.stdout.decode("utf-8"))
    assert found
    told = json.loads(found[1])
    assert 0 < told.pop("loaded") < 600
    assert told == {
        "rows": 3001,
        "slowest": "2999.png",
        "failed": ["9999.jpg"],
        "opened": "0000.png",
        "crops": 3,
        "next": "0001.png",
        "closed": True,
        "found": ["0077.png"],
    }
