"""Places in the picture that an XMP packet names, when the picture is turned, cut or enlarged.

Sources: Metadata Working Group, Guidelines for Handling Image Metadata 2.0 (regions); Microsoft's
People Tagging schema (MPReg:Rectangle); IPTC Photo Metadata Standard 2019.1 (image regions);
Google's Photo Sphere XMP metadata (GPano); DJI's drone-dji tags, as ExifTool lists them.
"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mirnet_cli.photo import xmp_nodes
from mirnet_cli.photo.xmp import EXIF
from mirnet_cli.photo.xmp_nodes import RDF, Edit, Node, Property, properties

if TYPE_CHECKING:
    from mirnet_cli.photo.view import View

REGIONS_SAID = "regions in XMP (faces, subjects) may no longer be in the right place"
_PANORAMA_SAID = "the panorama's geometry in XMP (GPano) no longer fits and is left out"
_DEPTH_SAID = "depth or a second view in XMP belongs to the original's frame and is left out"
_CROP_SAID = "a crop or masks in XMP (Camera Raw) still refer to the original's frame"
_CAMERA_SAID = "the lens geometry in XMP (drone-dji) still refers to the original's pixels"

_SUBJECTS = "SubjectArea", "SubjectLocation"
_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_MICROSOFT = "http://ns.microsoft.com/photo/1.2/t/Region#"
_ACDSEE = "http://ns.acdsee.com/regions/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_BOUNDARY = "RegionBoundary"
_IN_PIXELS = re.compile(rb"rbUnit\s*(?:>|=\s*[\"'])\s*pixel")

_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
_DEPTH = (
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/focus/",
)
"""Pictures in the packet itself, and what is told of them; true while the frame is the same."""

_CAMERA_RAW = "http://ns.adobe.com/camera-raw-settings/1.0/"
_MECHANIC = "http://ns.camerabits.com/photomechanic/1.0/Crop"
_FRAMED = re.compile(r"HasCrop|Crop[A-Z]|Mask|Correction|Retouch|RedEye|Perspective|Upright")
_DRONE = "http://www.dji.com/drone-dji/1.0/"
_LENS = _DRONE + "CalibratedFocalLength"
_CENTRE = _DRONE + "CalibratedOpticalCenterX", _DRONE + "CalibratedOpticalCenterY"
_DEWARP = _DRONE + "DewarpData"
_PLANE = EXIF + "FocalPlaneXResolution", EXIF + "FocalPlaneYResolution"

_Numbers = dict[str, tuple[Property, float]]


def moved(packet: bytes, view: "View") -> tuple[bytes, tuple[str, ...]]:
    """The packet with the places that it names where they are in the second picture of a view.

    Regions that were cut off are taken out, and so is what cannot follow.

    Returns:
        The packet, and what to say of it: not all follow, such as ACDSee's regions, those of
        another shape of picture or of unusual kinds, and any in UTF-16 or 32, which stay.
    """
    root = xmp_nodes.parse(packet)
    if root is None:
        return packet, (REGIONS_SAID,) if names_places(packet, view) else ()
    said = [REGIONS_SAID] if _of_others(packet, view) else []
    edits: list[Edit] = []
    for node in root.walk():
        try:
            if node.name == _REGIONS + "Regions":
                edits += _regions(packet, node, view)
            elif rectangle := node.value(_MICROSOFT + "Rectangle"):
                edits += _rectangle(packet, node, rectangle, view)
            elif node.name in [EXIF + subject for subject in _SUBJECTS]:
                edits += _subject(packet, node, view)
            elif node.name == _IPTC + _BOUNDARY and view.turn == 1:
                edits += _boundary(packet, node, view)
        except (ValueError, OverflowError):
            said.append(REGIONS_SAID)
    told = list(properties(root))
    for follow in (_panorama, _framed, _lens):
        new, words = follow(packet, told, view)
        edits += new
        said += words
    return xmp_nodes.edited(packet, edits), tuple(dict.fromkeys(said))


def names_places(text: bytes, view: "View") -> bool:
    """Whether XMP in any Unicode encoding, or what is damaged, names places that a view moves."""
    text = text.replace(b"\0", b"")
    if _mentions(text, *_SUBJECTS, _PANORAMA) or _IN_PIXELS.search(text):
        return True
    return not _keeps_shares(view) and _mentions(text, _REGIONS, _MICROSOFT, _BOUNDARY, _ACDSEE)


def _of_others(text: bytes, view: "View") -> bool:
    """Whether there are regions that a view moves, and that are not understood."""
    if _keeps_shares(view):
        return False
    return _mentions(text, _ACDSEE) or (view.turn != 1 and _mentions(text, _BOUNDARY))


def _keeps_shares(view: "View") -> bool:
    """Whether a place that is told in shares of the sides stays where it is."""
    return view.turn == 1 and view.crop is None


def _regions(packet: bytes, regions: Node, view: "View") -> list[Edit]:
    """Edits for regions as the Metadata Working Group has them.

    Raises:
        ValueError: they are not of this picture, or not understood.
    """
    edits: list[Edit] = []
    found = False
    for node in regions.walk():
        spans = {key: node.value(_DIMENSIONS + key) for key in "wh"}
        if spans["w"] and spans["h"]:
            across, down = (float(packet[slice(*span)]) for span in spans.values() if span)
            if abs(across * view.height - down * view.width) > 0.01 * across * view.height:
                raise ValueError("the regions are of another picture")
            if _says(packet, node, _DIMENSIONS + "unit", b"pixel"):
                sizes = zip(spans.values(), view.size, strict=True)
                edits += [(*span, b"%d" % size) for span, size in sizes if span]
        areas = {key: node.value(_AREA + key) for key in "xywhd"}
        known = {key: span for key, span in areas.items() if span}
        if "x" not in known or "y" not in known:
            continue
        found = True
        if not _says(packet, node, _AREA + "unit", b"normalized"):
            raise ValueError("an area in another unit")
        values = {key: float(packet[slice(*span)]) for key, span in known.items()}
        box = view.box(*(values.get(key, 0.0) for key in "xywh"))
        if box is None:
            edits.append(_item(node))
            continue
        new = dict(zip("xywh", box, strict=True)) | {"d": view.diameter(values.get("d", 0.0))}
        edits += [(*span, _share(new[key])) for key, span in known.items()]
    if not found and any(node.name == RDF + "li" for node in regions.walk()):
        raise ValueError("no area of a known kind")
    return edits


def _rectangle(packet: bytes, node: Node, span: tuple[int, int], view: "View") -> list[Edit]:
    """Edits for a region as Microsoft has it: left, top, width and height."""
    left, top, w, h = map(float, packet[slice(*span)].split(b","))
    box = view.box(left + w / 2, top + h / 2, w, h)
    if box is None:
        return [_item(node)]
    x, y, w, h = box
    return [(*span, b", ".join(map(_share, (x - w / 2, y - h / 2, w, h))))]


def _boundary(packet: bytes, node: Node, view: "View") -> list[Edit]:
    """Edits for a region as IPTC has it: a rectangle, a circle or a polygon.

    Raises:
        ValueError: it is none of them.
    """
    holder = next((n for n in node.walk() if n.value(_IPTC + "rbUnit")), node)
    unit = holder.value(_IPTC + "rbUnit")
    if unit is None:
        raise ValueError("no unit")
    in_pixels = packet[slice(*unit)].strip().lower() == b"pixel"
    before = (view.width, view.height) if in_pixels else (1, 1)
    after = view.size if in_pixels else (1, 1)

    def number(span: tuple[int, int], side: int) -> float:
        return float(packet[slice(*span)]) / before[side]

    def stated(value: float, side: int) -> bytes:
        return b"%d" % round(value * after[side]) if in_pixels else _share(value)

    edits: list[Edit] = []
    seen = False
    for each in node.walk():
        spans = {key: each.value(_IPTC + "rb" + key) for key in ("X", "Y", "W", "H", "Rx")}
        known = {key: span for key, span in spans.items() if span}
        if "X" not in known or "Y" not in known:
            continue
        x, y = number(known["X"], 0), number(known["Y"], 1)
        if "W" in known and "H" in known:
            w, h = number(known["W"], 0), number(known["H"], 1)
            box = view.box(x + w / 2, y + h / 2, w, h)
            if box is not None:
                seen = True
                new = box[0] - box[2] / 2, box[1] - box[3] / 2, box[2], box[3]
                names = (("X", 0), ("Y", 1), ("W", 0), ("H", 1))
                for (key, side), value in zip(names, new, strict=True):
                    edits.append((*known[key], stated(value, side)))
            continue
        x, y = view.point(x, y)
        seen |= 0 <= x <= 1 and 0 <= y <= 1
        edits += [(*known["X"], stated(x, 0)), (*known["Y"], stated(y, 1))]
        if "Rx" in known:
            radius = number(known["Rx"], 0) * view.width * view.scale / view.size[0]
            edits.append((*known["Rx"], stated(radius, 0)))
    if not edits and not seen and not any(n.value(_IPTC + "rbX") for n in node.walk()):
        raise ValueError("no boundary of a known kind")
    return edits if seen else [_item(node)]


def _subject(packet: bytes, node: Node, view: "View") -> list[Edit]:
    """Edits for EXIF's area of the main subject."""
    spans = [each.inside for each in node.walk() if each.name == RDF + "li"]
    if not 2 <= len(spans) <= 4:
        raise ValueError("no area")
    new = view.area([int(packet[slice(*span)]) for span in spans])
    if new is None:
        return [(node.start, node.end, b"")]
    return [(*span, b"%d" % value) for span, value in zip(spans, new, strict=True)]


def _panorama(packet: bytes, told: list[Property], view: "View") -> tuple[list[Edit], list[str]]:
    """Edits for a panorama: its sizes and offsets in pixels of the picture."""
    own = [each for each in told if each.name.startswith(_PANORAMA)]
    if not own:
        return [], []
    found = _numbers(packet, own, _PANORAMA)
    out = [(*each.whole, b"") for each in own]
    sphere = Panorama.of(found, view.width, view.height)
    if sphere is None and view.turn >= 5:
        # It is told of the picture as it is seen.
        view = replace(view, width=view.height, height=view.width, turn=1)
        sphere = Panorama.of(found, view.width, view.height)
    now = None if sphere is None else sphere.moved(view)
    if now is None:
        # Without sizes it says nothing that enlarging could change.
        return ([], []) if not found and _keeps_shares(view) else (out, [_PANORAMA_SAID])
    edits: list[Edit] = []
    for name, value in now.stated().items():
        if name in found and found[name][0].value is not None:
            edits.append((*found[name][0].value, b"%d" % round(value)))  # type: ignore[misc]
    inside = "LargestValidInteriorRect"
    area = [found.get(inside + key) for key in ("Left", "Top", "Width", "Height")]
    if all(area):
        left, top, w, h = (each[1] for each in area if each)
        w, h = max(w, 0), max(h, 0)
        units = sphere.width / view.width, sphere.height / view.height  # type: ignore[union-attr]
        box = view.box(
            (left + w / 2) / units[0] / view.width,
            (top + h / 2) / units[1] / view.height,
            w / units[0] / view.width,
            h / units[1] / view.height,
        )
        new = (0.0, 0.0, 0.0, 0.0)
        if box is not None:
            across, down = view.size
            new = (
                (box[0] - box[2] / 2) * across,
                (box[1] - box[3] / 2) * down,
                box[2] * across,
                box[3] * down,
            )
        for each, value in zip(area, new, strict=True):
            if each is not None and each[0].value is not None:
                edits.append((*each[0].value, b"%d" % round(value)))
    return edits, []


@dataclass(frozen=True)
class Panorama:
    """Where a picture is in the whole that it is a part of, in pixels of the picture.

    Attributes:
        full_width, full_height: of the whole.
        width, height: of the picture.
        left, top: of the picture in the whole.
    """

    full_width: float
    full_height: float
    width: float
    height: float
    left: float
    top: float

    @classmethod
    def of(cls, found: _Numbers, width: int, height: int) -> "Panorama | None":
        """What is told of a picture of this size; None where nothing is, or of another shape."""
        names = ("FullPanoWidthPixels", "FullPanoHeightPixels")
        if any(name not in found or found[name][1] <= 0 for name in names):
            return None
        full = [found[name][1] for name in names]
        area = "CroppedArea"
        sizes = [
            found[name][1] if (name := f"{area}Image{side}Pixels") in found else default
            for side, default in (("Width", full[0]), ("Height", full[1]))
        ]
        offsets = [
            found[name][1] if (name := f"{area}{side}Pixels") in found else 0.0
            for side in ("Left", "Top")
        ]
        if min(sizes) <= 0 or abs(sizes[0] * height - sizes[1] * width) > 0.01 * sizes[0] * height:
            return None
        return cls(*full, *sizes, *offsets)

    def moved(self, view: "View") -> "Panorama | None":
        """The same of the second picture of a view; None where it lies on its side there."""
        if view.turn != 1 and view.turn < 5:
            across = self.full_width - self.left - self.width
            down = self.full_height - self.top - self.height
            left = across if view.turn in (2, 3) else self.left
            top = down if view.turn in (3, 4) else self.top
        elif view.turn == 1:
            left, top = self.left, self.top
        else:
            return None
        x, y, w, h = view.crop or (0, 0, view.width, view.height)
        across, down = view.width / self.width * view.scale, view.height / self.height * view.scale
        return Panorama(
            self.full_width * across,
            self.full_height * down,
            w * view.scale,
            h * view.scale,
            left * across + x * view.scale,
            top * down + y * view.scale,
        )

    def stated(self) -> dict[str, float]:
        """As GPano has it."""
        return {
            "FullPanoWidthPixels": self.full_width,
            "FullPanoHeightPixels": self.full_height,
            "CroppedAreaImageWidthPixels": self.width,
            "CroppedAreaImageHeightPixels": self.height,
            "CroppedAreaLeftPixels": self.left,
            "CroppedAreaTopPixels": self.top,
        }


def goes_around(packet: bytes | None, width: int, height: int) -> bool:
    """Whether the left and right edges of a picture of this size meet: it shows 360 degrees."""
    if packet is None or _PANORAMA.encode() not in packet:
        return False
    own = [e for e in properties(xmp_nodes.parse(packet)) if e.name.startswith(_PANORAMA)]
    kinds = {
        packet[slice(*each.value)].strip().lower()
        for each in own
        if each.name == _PANORAMA + "ProjectionType" and each.value is not None
    }
    if kinds - {b"equirectangular", b"cylindrical"}:
        return False
    found = _numbers(packet, own, _PANORAMA)
    if "FullPanoWidthPixels" not in found:
        return kinds == {b"equirectangular"} and width == 2 * height
    sphere = Panorama.of(found, width, height)
    return sphere is not None and sphere.width == sphere.full_width


def _framed(packet: bytes, told: list[Property], view: "View") -> tuple[list[Edit], list[str]]:
    """Edits for what is true of the original's frame alone."""
    if _keeps_shares(view):
        return [], []
    edits: list[Edit] = [(*each.whole, b"") for each in told if each.name.startswith(_DEPTH)]
    said = [_DEPTH_SAID] if edits else []
    simple = {each.name: packet[slice(*each.value)].strip() for each in told if each.value}
    asked = any(
        each.name.startswith(_MECHANIC)
        or (
            each.name.startswith(_CAMERA_RAW)
            and _FRAMED.search(each.name[len(_CAMERA_RAW) :])
            and simple.get(each.name) not in (b"False", b"0", b"")
        )
        for each in told
    )
    if asked and simple.get(_CAMERA_RAW + "AlreadyApplied") != b"True":
        said.append(_CROP_SAID)
    return edits, said


def _lens(packet: bytes, told: list[Property], view: "View") -> tuple[list[Edit], list[str]]:
    """Edits for a lens whose focal length and axis are told in pixels."""
    edits: list[Edit] = []
    said = []
    numbers = _numbers(packet, told, "")
    for name, (each, value) in numbers.items():
        if each.value is None:
            continue
        if name == _LENS:
            edits.append((*each.value, _share(value * view.scale)))
        elif name in _CENTRE:
            other = numbers.get(_CENTRE[name == _CENTRE[0]])
            if other is None:
                said.append(_CAMERA_SAID)
                continue
            both = (value, other[1]) if name == _CENTRE[0] else (other[1], value)
            point = view.point(both[0] / view.width, both[1] / view.height)
            side = int(name == _CENTRE[1])
            edits.append((*each.value, _share(point[side] * view.size[side])))
    for each in told:
        if each.value is None or (view.scale == 1 and _keeps_shares(view)):
            continue
        text = packet[slice(*each.value)]
        if each.name in _PLANE and view.scale != 1:
            above, slash, below = text.strip().partition(b"/")
            if above.isdigit() and view.scale == int(view.scale):
                edits.append((*each.value, b"%d" % (int(above) * int(view.scale)) + slash + below))
        elif each.name == _DEWARP:
            date, _, rest = text.partition(b";")
            values = rest.split(b",")
            if not _keeps_shares(view):
                said.append(_CAMERA_SAID)
            elif len(values) >= 4 and all(map(_is_number, values[:4])):
                new = [_share(float(value) * view.scale) for value in values[:4]]
                edits.append((*each.value, date + b";" + b",".join([*new, *values[4:]])))
    return edits, said


def _numbers(packet: bytes, told: list[Property], namespace: str) -> _Numbers:
    """Simple properties that are numbers, by their names in a namespace."""
    found: _Numbers = {}
    for each in told:
        text = b"" if each.value is None else packet[slice(*each.value)].strip()
        if _is_number(text):
            found.setdefault(each.name[len(namespace) :], (each, float(text)))
    return found


def _is_number(text: bytes) -> bool:
    return re.fullmatch(rb"[+-]?\d+(?:\.\d*)?", text.strip()) is not None


def _item(node: Node) -> Edit:
    """What takes an item out of the list that it is in."""
    item: Node | None = node
    while item is not None and item.name != RDF + "li":
        item = item.parent
    if item is None:
        raise ValueError("in no list")
    return item.start, item.end, b""


def _says(packet: bytes, node: Node, name: str, value: bytes) -> bool:
    """Whether a property has this value, or is not there."""
    span = node.value(name)
    return span is None or packet[slice(*span)].strip().lower() == value


def _share(value: float) -> bytes:
    return (f"{value:.6f}".rstrip("0").rstrip(".") or "0").encode()


def _mentions(packet: bytes, *namespaces: str) -> bool:
    return any(each.encode() in packet for each in namespaces)
