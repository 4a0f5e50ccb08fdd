"""Files from a web server, with all it can do wrong."""

from urllib.request import HTTPRedirectHandler, Request

import pytest

from mirnet_cli import objects, web
from mirnet_cli.errors import InputError, MirnetError, TransferError
from mirnet_cli.places import Remote, Version, place
from tests.stores.proxy import Proxy

DATA = bytes(range(256)) * 8000


def address(site: Proxy, query: str = "") -> Remote:
    site.files["/a.jpg"] = DATA
    found = place(f"{site.address}/a.jpg{query}")
    assert isinstance(found, Remote)
    return found


def test_a_file_is_read_as_far_as_it_is_asked_for(site: Proxy) -> None:
    with objects.opened(address(site)) as found:
        assert len(found) == len(DATA)
        assert found[0:64] == DATA[:64]
        assert found[1000:2000] == DATA[1000:2000]
        assert found[0 : len(DATA)] == DATA
    assert site.requests == [("GET", "/a.jpg")]


def test_its_length_may_be_unknown(site: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    site.lengths = False
    assert objects.read(address(site)) == DATA
    assert objects.version(address(site)) == Version(-1, f'"{len(DATA)}"')
    monkeypatch.setattr(web.settings, "encoded_limit", lambda: 1 << 20)
    with pytest.raises(InputError, match="more than 1 MiB"):
        objects.read(address(site))


def test_one_that_is_too_large_is_not_read(site: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.settings, "encoded_limit", lambda: 1 << 20)
    with pytest.raises(InputError, match="more than 1 MiB"), objects.opened(address(site)):
        pass


@pytest.mark.parametrize("heads", [True, False])
def test_what_a_server_says_of_a_file(site: Proxy, heads: bool) -> None:
    site.heads = heads
    assert objects.version(address(site)) == Version(len(DATA), f'"{len(DATA)}"')
    site.files.clear()
    none = place(f"{site.address}/none.jpg")
    assert isinstance(none, Remote)
    assert objects.version(none) is None


SAID = {
    "403": "refuses access (403)",
    "429": "asks for fewer requests",
    "503": "failed (503)",
    "silent": "did not answer for 0.5 seconds",
    "reset": "the connection kept breaking",
    "cut": "the connection kept breaking",
    "stall": "did not answer for 0.5 seconds",
}


@pytest.mark.parametrize(("fault", "said"), SAID.items())
def test_reading_fails_in_one_line(
    site: Proxy, fault: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_PAUSES", (0.01, 0.01))
    if fault in ("silent", "stall"):
        monkeypatch.setenv("MIRNET_STORE_TIMEOUT", "0.5")
    site.misbehave(fault)
    with pytest.raises(TransferError) as caught:
        objects.read(address(site, "?X-Amz-Signature=secret"))
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.remedy
    site.misbehave(fault, times=1)
    if fault != "403":
        assert objects.read(address(site)) == DATA


def test_a_connection_that_breaks_twice_is_opened_twice(
    site: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_PAUSES", (0.01, 0.01))
    url = address(site).url
    site.misbehave("cut", times=1)
    with web.Stream(url) as stream:
        # What is opened anew is refused once, too.
        site.fault, site.times = "503", 1
        assert stream.read(0, len(DATA)) == DATA
    assert site.count("GET") == 3


def test_what_is_written_in_an_address_reaches_the_server(site: Proxy) -> None:
    site.files["/my%20%D1%84/a.jpg/"] = DATA
    host = site.address.removeprefix("http://")
    found = place(f"http://me:p%40ss@{host}/my ф/a.jpg/?x=a b%20")
    assert isinstance(found, Remote)
    assert objects.read(found) == DATA
    assert site.requests == [("GET", "/my%20%D1%84/a.jpg/?x=a%20b%20")]
    assert site.authorization == "Basic bWU6cEBzcw=="


def test_no_redirection_leads_from_https_to_http() -> None:
    handlers = web.opener(TransferError, "here").handlers  # type: ignore[attr-defined]
    (follow,) = (each for each in handlers if isinstance(each, HTTPRedirectHandler))
    asked = Request("https://a.test/b"), None, 302, "", {}
    assert follow.redirect_request(*asked, "https://c.test/d").full_url == "https://c.test/d"
    with pytest.raises(TransferError, match="here: the server redirects to an unprotected address"):
        follow.redirect_request(*asked, "http://c.test/d")


def test_a_missing_file_is_not_asked_for_again(site: Proxy) -> None:
    none = place(f"{site.address}/none.jpg")
    assert isinstance(none, Remote)
    with pytest.raises(MirnetError, match="no such object"):
        objects.read(none)
    assert site.count("GET") == 1


def test_a_file_that_changes_while_it_is_read(site: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_PAUSES", (0.01,))
    site.misbehave("stall", times=1)

    def read() -> None:
        with objects.opened(address(site)) as found:
            assert found[0:10] == DATA[:10]
            site.files["/a.jpg"] = DATA[::-1]
            found[0 : len(found)]

    with pytest.raises(TransferError, match="changed or was cut"):
        read()
