"""The manners of the public API: names as they come, arguments in messages, notebooks."""

import re
from pathlib import Path

import pytest
from PIL import Image

import mirnet_cli as mirnet
from mirnet_cli.options import as_arguments
from tests.restore.fakes import photo_like


@pytest.fixture(scope="module")
def denoise() -> mirnet.Restorer:
    return mirnet.load("denoise", precision="fp32")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a <b>.png"
    Image.fromarray(photo_like(30, 40)).save(path)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use --overwrite to replace it", "use overwrite=True to replace it"),
        ("choose another name with -o", "choose another name with target"),
        ("use --device cpu, or --runtime torch", 'use device="cpu", or runtime="torch"'),
        ("raise --max-memory, or use --crop", "raise max_memory, or use crop"),
        ("use --max-pixels 12M", 'use max_pixels="12M"'),
        ("use --jobs 1", "use jobs=1"),
        ("a well-kept photo -- and x-o", "a well-kept photo -- and x-o"),
    ],
)
def test_options_become_arguments(text: str, expected: str) -> None:
    assert as_arguments(text, "target") == expected


def options_in(text: str) -> list[str]:
    return re.findall(r"(?<!\S)-{1,2}[a-z][a-z-]*", text)


def test_errors_name_arguments(denoise: mirnet.Restorer, photo: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.png"
    there.write_bytes(b"mine")
    attempts = [
        lambda: mirnet.load("denoise", device="tpu"),
        lambda: mirnet.load("denoise", scale=2),
        lambda: mirnet.load(model="denoise", weights="x.safetensors"),
        lambda: mirnet.load("denoise", tile=64, overlap=64),
        lambda: denoise.file(photo, photo),
        lambda: denoise.file(photo, there),
        lambda: denoise.file(photo, tmp_path / "b.png", format="xyz"),
        lambda: denoise.file(photo, tmp_path / "b.png", max_pixels=10),
        lambda: list(mirnet.batch(denoise, photo, into=tmp_path, suffix="")),
    ]
    for attempt in attempts:
        with pytest.raises(mirnet.MirnetError) as caught:
            attempt()
        assert not options_in(str(caught.value)), caught.value
        assert str(caught.value) == caught.value.args[0]
    assert there.read_bytes() == b"mine"


def test_results_of_a_batch_name_arguments(
    denoise: mirnet.Restorer, photo: Path, tmp_path: Path
) -> None:
    (result,) = mirnet.batch(denoise, photo, into=tmp_path / "out", max_pixels=10)
    assert result.status == "failed"
    assert "max_pixels=" in str(result.error)
    assert not options_in(str(result.error))


def test_a_batch_takes_the_name_of_a_task(photo: Path, tmp_path: Path) -> None:
    (result,) = mirnet.batch("denoise", [photo], into=tmp_path / "out", device="cpu", strength=0.5)
    assert (result.status, result.task, result.device) == ("done", "denoise", "cpu")
    with pytest.raises(mirnet.UsageError, match="strenght"):
        mirnet.batch("denoise", [photo], into=tmp_path / "out", strenght=0.5)
    with pytest.raises(mirnet.ModelError):
        mirnet.batch("denoize", [photo], into=tmp_path / "out")


def test_a_batch_keeps_the_order_of_its_photos(denoise: mirnet.Restorer, tmp_path: Path) -> None:
    names = ["c.png", "a.png", "z.jpg", "b.png"]
    paths = [tmp_path / name for name in names]
    for path in paths:
        Image.fromarray(photo_like(30, 40)).save(path)
    (tmp_path / "z.jpg").write_text("broken")
    for _ in mirnet.batch(denoise, [tmp_path / "a.png"], into=tmp_path / "out"):
        pass
    results = list(mirnet.batch(denoise, paths, into=tmp_path / "out"))
    assert [result.input for result in results] == [str(path) for path in paths]
    assert [result.status for result in results] == ["done", "skipped", "failed", "done"]


@pytest.mark.parametrize("as_path", [False, True])
def test_a_folder_as_target(
    denoise: mirnet.Restorer, photo: Path, tmp_path: Path, as_path: bool
) -> None:
    target = f"{tmp_path}/new/deep/"
    if as_path:
        (tmp_path / "new/deep").mkdir(parents=True)
    result = denoise.file(photo, Path(target) if as_path else target, format="jpg")
    made = tmp_path / "new/deep/a <b>.jpg"
    assert result.output == str(made)
    assert Image.open(made).format == "JPEG"
    with pytest.raises(mirnet.OutputError, match="exists already"):
        denoise.file(photo, target, format="jpg")
    with pytest.raises(mirnet.UsageError, match="no name of its own; name a file"):
        denoise.file(photo.read_bytes(), target)
    with pytest.raises(mirnet.UsageError, match="an empty name"):
        denoise.file(photo, "")


def test_in_a_notebook(denoise: mirnet.Restorer, photo: Path, tmp_path: Path) -> None:
    shown = denoise._repr_html_()
    assert "denoise" in shown
    assert denoise.precision in shown
    assert repr(denoise).startswith("<Restorer denoise with ")
    result = denoise.file(photo, tmp_path / "b.png")
    page = result._repr_html_()
    assert page.count('<img src="data:image/jpeg;base64,') == 2
    assert "a &lt;b&gt;.png" in page
    assert "<b>" not in page
    photo.unlink()
    assert result._repr_html_().count("<img") == 1
    (tmp_path / "b.png").unlink()
    assert "<img" not in result._repr_html_()
