#!/usr/bin/env bash
# 2026-11-30. Exiv2 reads nothing of an XMP packet in which two prefixes stand for one namespace.
#
# Photoshop wrote xapMM for http://ns.adobe.com/xap/1.0/mm/, which is xmpMM today. A program that adds
# a description of its own with the new prefix writes valid XML and valid RDF: in both the prefix means
# nothing, the address alone counts. ExifTool reads all of it. Exiv2 (darktable, digiKam, gThumb) then
# gives no property at all, of no namespace, and says so on standard error alone.
# Guessed wrong: that adding to a packet with "one's own" prefixes can lose nothing.
# Documented: Namespaces in XML 1.0 (W3C), section 3 (prefixes are local); Exiv2's XMP toolkit has
# "Schema namespace URI and prefix mismatch" (XMPCore_Impl.cpp, kXMPErr_BadSchema).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q exiv2==0.19.2 pillow==12.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import exiv2
from PIL import Image

MM = "http://ns.adobe.com/xap/1.0/mm/"


def packet(prefix):
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xapMM="{MM}" xapMM:DocumentID="uuid:1"
  xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/>
<rdf:Description rdf:about="" xmlns:{prefix}="{MM}" {prefix}:InstanceID="uuid:2"/>
</rdf:RDF></x:xmpmeta>""".encode()


def read(prefix):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", xmp=packet(prefix))
    image = exiv2.ImageFactory.open(buffer.getvalue())
    image.readMetadata()
    return sorted(each.key() for each in image.xmpData())


same, other = read("xapMM"), read("xmpMM")
print("exiv2", exiv2.__version__, "with libexiv2", exiv2.version())
print("the same prefix twice:", same)
print("two prefixes, one namespace:", other)
if len(same) == 3 and not other:
    print("as stated: nothing is read, the rating of another namespace included")
else:
    sys.exit("the behaviour has changed")
PYTHON
