"""A headless Chromium that is told what to do by the DevTools protocol, over a pipe."""

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")

# Chromium cannot shut itself in where it is started by root, as in containers.
_ROOT = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
OPTIONS = ("--headless", "--disable-gpu", *_ROOT)
"""What every run of it is given."""
_PATIENCE = 60.0


class Tab:
    """One page with a touch screen; what is not answered within a minute raises TimeoutError."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._number = 0
        self._session: str | None = None
        self._heard = b""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.ask("Emulation.setTouchEmulationEnabled", enabled=True)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends one command and waits for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def open(self, page: Path) -> None:
        """Loads a page and waits until all of it is there."""
        self.ask("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.value(expression):
            if time.monotonic() > end:
                raise TimeoutError(expression)
            time.sleep(0.05)

    def place(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of the first element that matches, scrolled into view."""
        found = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()"
        )
        left, top, width, height = found
        return left, top, width, height

    def drag(self, *points: tuple[float, float]) -> None:
        """A finger goes down at the first point, along the others, and up at the last."""
        down, *others = points
        self._touch("touchStart", down)
        for point in others:
            self._touch("touchMove", point)
        self._touch("touchEnd")

    def tap(self, selector: str) -> None:
        """A finger touches the middle of an element."""
        left, top, width, height = self.place(selector)
        self.drag((left + width / 2, top + height / 2))

    def tap_until(self, selector: str, expression: str) -> None:
        """Taps an element until an expression is true: what is under way may swallow a tap."""
        for _ in range(20):
            self.tap(selector)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                if self.value(expression):
                    return
                time.sleep(0.05)
        raise TimeoutError(expression)

    def _touch(self, kind: str, *points: tuple[float, float]) -> None:
        where = [{"x": x, "y": y} for x, y in points]
        self.ask("Input.dispatchTouchEvent", type=kind, touchPoints=where)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._heard:
            if not select.select([self._reading], [], [], _PATIENCE)[0]:
                raise TimeoutError("the browser says nothing")
            part = os.read(self._reading, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._heard += part
        message, _, self._heard = self._heard.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def tab(folder: Path, width: int = 900, height: int = 900) -> Iterator[Tab]:
    """A browser with one page.

    Args:
        folder: for its profile.
        width, height: of the window.
    """
    assert PROGRAM is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()

    def connect() -> None:
        # The protocol's pipes are the descriptors 3 and 4.
        first, second = os.dup(theirs_in), os.dup(theirs_out)
        os.dup2(first, 3)
        os.dup2(second, 4)

    options = (*OPTIONS, "--remote-debugging-pipe")
    browser = subprocess.Popen(
        [PROGRAM, *options, f"--user-data-dir={folder}", f"--window-size={width},{height}"],
        preexec_fn=connect,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Tab(ours_in, ours_out)
    finally:
        browser.kill()
        browser.wait()
        os.close(ours_in)
        os.close(ours_out)
