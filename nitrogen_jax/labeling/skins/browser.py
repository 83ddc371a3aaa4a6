"""A headless Chromium that shows one folder and nothing else, driven over its DevTools protocol.

Every request is answered here, from the folder or with a refusal: the page reaches neither the
network nor other files, and its scripts do not run unless they are wanted.
"""

from __future__ import annotations

import base64
import contextlib
import json
import mimetypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.extras import install_command
from nitrogen_jax.labeling.skins.atlas import premultiplied

ORIGIN = "http://skin.invalid"  # a name that no network resolves
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WAIT = 30.0  # seconds for whatever the browser does
LONG_PATH = 40  # characters of a folder for temporary files
MOST_BYTES = 32 << 20  # of a file that a page asks for

FLAGS = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--no-default-browser-check", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--disable-extensions", "--disable-dev-shm-usage"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none"),
    # What is not answered here, as from a window that a script opens, ends at a closed port.
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--block-new-web-contents"),
    *("--proxy-server=http://127.0.0.1:9", "--proxy-bypass-list=<-loopback>"),
    "--remote-debugging-port=0",
)
POLICY = (
    "default-src 'self' data: 'unsafe-inline'; connect-src 'none'; webrtc 'block'; "
    "frame-src 'none'; object-src 'none'; form-action 'none'; "
)


def find_browser() -> str | None:
    """The Chromium of this machine, if it has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Page:
    """What the browser shows.

    Attributes:
        folder: what the page may read.
        html: the document itself.
        scripts: whether the page's own scripts run.
        missing: paths that it asked for in vain.
    """

    socket: Any
    folder: Path
    html: str
    scripts: bool = False
    session: str | None = None
    missing: set[str] = field(default_factory=set)
    _number: int = 0
    _loaded: bool = False
    _served: int = 0

    def open(self, width: int, height: int) -> None:
        """Loads the document into a window of a size, in CSS pixels, and waits for it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Fetch.enable", patterns=[{"urlPattern": "*"}])
        self.resize(width, height, 1.0)
        clear = {"r": 0, "g": 0, "b": 0, "a": 0}
        self.call("Emulation.setDefaultBackgroundColorOverride", color=clear)
        self.call("Page.navigate", url=f"{ORIGIN}/")
        until = time.monotonic() + WAIT
        while not self._loaded:
            self._handle(self._receive(until))
        self.evaluate("document.fonts.ready.then(() => true)")

    def resize(self, width: int, height: int, scale: float) -> None:
        """Sets the window's size in CSS pixels, and the pixels of a shot per CSS pixel."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def evaluate(self, expression: str) -> Any:
        """What an expression in JavaScript gives, as JSON has it; promises are awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            text = details.get("exception", {}).get("description", details.get("text"))
            raise NitrogenError(f"the page failed: {str(text).splitlines()[0]}")
        return found["result"].get("value")

    def settle(self) -> None:
        """Waits until what was changed is drawn and whatever it needs is loaded."""
        served = -1
        while served != self._served:
            served = self._served
            self.evaluate(
                "new Promise(done => requestAnimationFrame(() => requestAnimationFrame("
                "() => setTimeout(() => done(true), 10))))"
            )

    def shot(self, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """A picture of the page, (h, w, 4) uint8 premultiplied RGBA, transparent where it is empty.

        Args:
            box: (left, top, width, height) in CSS pixels; all of the window by default.
        """
        clip = {}
        if box is not None:
            clip["clip"] = dict(zip(("x", "y", "width", "height"), box, strict=True), scale=1)
        data = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=True, **clip)[
            "data"
        ]
        picture = cv2.imdecode(
            np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED
        )
        return premultiplied(picture)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol and gives its result; requests are served meanwhile."""
        number = self._send(method, parameters)
        until = time.monotonic() + WAIT
        while True:
            message = self._receive(until)
            if message.get("id") != number:
                self._handle(message)
            elif "error" in message:
                raise NitrogenError(f"the browser refused {method}: {message['error']['message']}")
            else:
                return message["result"]

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        return self._number

    def _receive(self, until: float) -> dict[str, Any]:
        import websocket

        try:
            self.socket.settimeout(max(until - time.monotonic(), 0.01))
            return json.loads(self.socket.recv())
        except (websocket.WebSocketException, OSError) as error:
            raise NitrogenError(f"the browser stopped answering: {error}") from None

    def _handle(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Page.javascriptDialogOpening":
            self._send("Page.handleJavaScriptDialog", {"accept": False})
        elif method == "Fetch.requestPaused":
            self._serve(parameters)

    def _serve(self, request: dict[str, Any]) -> None:
        self._served += 1
        url = request["request"]["url"]
        answer = self._answer(url)
        if answer is None:
            self.missing.add(url.removeprefix(ORIGIN)[:200])
            failed = {"requestId": request["requestId"], "errorReason": "BlockedByClient"}
            self._send("Fetch.failRequest", failed)
            return
        kind, body = answer
        scripts = "'self' 'unsafe-inline'" if self.scripts else "'none'"
        headers = {
            "Content-Type": kind,
            "Content-Security-Policy": f"{POLICY}script-src {scripts}",
        }
        self._send(
            "Fetch.fulfillRequest",
            {
                "requestId": request["requestId"],
                "responseCode": 200,
                "responseHeaders": [{"name": n, "value": v} for n, v in headers.items()],
                "body": base64.b64encode(body).decode(),
            },
        )

    def _answer(self, url: str) -> tuple[str, bytes] | None:
        """(content type, bytes) of a URL, None if the page must not have it."""
        if url == f"{ORIGIN}/":
            return "text/html; charset=utf-8", self.html.encode()
        file = inside(self.folder, unquote(urlsplit(url).path))
        if not url.startswith(f"{ORIGIN}/") or file is None:
            return None
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return kind, file.read_bytes()


def inside(folder: Path, name: str) -> Path | None:
    """The file of a name below a folder; None if there is none, or it leads out of the folder."""
    root = folder.resolve()
    try:
        file = (root / name.lstrip("/")).resolve()
        fits = file.is_file() and file.stat().st_size <= MOST_BYTES
    except (OSError, ValueError):
        return None
    return file if fits and file.is_relative_to(root) else None


@contextlib.contextmanager
def browse(folder: Path, html: str, scripts: bool = False, path: str | None = None):
    """A browser with a `Page` that is not opened yet; ended in the end."""
    try:
        import websocket
    except ImportError:
        raise NitrogenError(
            "websocket-client, which drives the browser, is not installed: "
            f"{install_command('bake')}"
        ) from None
    path = path or find_browser()
    if path is None or shutil.which(path) is None:
        raise NitrogenError(
            f"no browser is found as {path or ' or '.join(NAMES)}: install Chromium, for example "
            "with 'apt-get install chromium', or name one with --browser"
        )
    # NOTE: a socket lies in it, and a socket's path may have about 100 characters.
    place = tempfile.gettempdir()
    place = "/tmp" if len(place) > LONG_PATH and Path("/tmp").is_dir() else place
    with (
        tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as profile,
        _started(path, Path(profile)) as address,
    ):
        # NOTE: Chromium refuses connections that name an origin.
        socket = websocket.create_connection(address, timeout=WAIT, suppress_origin=True)
        try:
            yield Page(socket, folder, html, scripts)
        finally:
            socket.close()


@contextlib.contextmanager
def _started(path: str, profile: Path) -> Iterator[str]:
    """Starts the browser, gives the address of its protocol, ends it and all its processes."""
    flags = [*FLAGS, f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # its sandbox does not work for root
    log = profile / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [path, *flags, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
            env={
                **os.environ,
                **dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "TMPDIR"), str(profile)),
            },
        )
    try:
        yield _address(process, profile / "DevToolsActivePort", log)
    finally:
        # NOTE: its group is of its own, so nothing else is ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(process: subprocess.Popen, file: Path, log: Path) -> str:
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            port, where = file.read_text().split("\n")[:2]
            return f"ws://127.0.0.1:{int(port)}{where}"
        if process.poll() is not None:
            break
        time.sleep(0.05)
    lines = [
        line for line in log.read_text(errors="replace").splitlines() if "crashpad" not in line
    ]
    said = f": {lines[-1][:200]}" if lines else ""
    raise NitrogenError(f"the browser {process.args[0]} does not start{said}")
