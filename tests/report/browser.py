"""A real browser for tests of pages: headless Chromium, spoken to over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 30  # for anything; a busy machine is slow, a hung browser is not waited for

SHIFT = 8  # as a modifier of keys
KEYS = {" ": "Space", "ArrowLeft": "ArrowLeft", "ArrowRight": "ArrowRight"}


def executable() -> str | None:
    """Where a Chromium is installed."""
    named = os.environ.get("NITROGEN_BROWSER")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """A page: what it logs, requests and throws is written down."""

    def __init__(self, socket):
        self.socket, self.numbers = socket, itertools.count(1)
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.loaded = False
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
        raise TimeoutError(method)

    def _receive(self) -> dict[str, Any]:
        message = json.loads(self.socket.recv())
        method, content = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(content["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and content["type"] in ("error", "warning"):
            self.problems.append(json.dumps(content["args"]))
        elif method == "Log.entryAdded" and content["entry"]["level"] in ("error", "warning"):
            self.problems.append(json.dumps(content["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(content["request"]["url"][:200])
        elif method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Page.javascriptDialogOpening":
            accept = {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            self.socket.send(json.dumps(accept))
            self.dialogs.append(content["type"])
        return message

    def open(self, path: Path) -> None:
        """Loads a file, to the end."""
        self.loaded = False
        self.problems.clear()
        self.requests.clear()
        self.dialogs.clear()
        self.call("Page.navigate", url=path.absolute().as_uri())
        end = time.monotonic() + SECONDS
        while not self.loaded:
            assert time.monotonic() < end, f"{path} does not load"
            self._receive()

    def evaluate(self, expression: str) -> Any:
        """The value of some JavaScript, awaited."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until some JavaScript is true."""
        end = time.monotonic() + SECONDS
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"{expression} does not come true"
            time.sleep(0.02)

    def key(self, key: str, modifiers: int = 0) -> None:
        """Presses and releases a key."""
        about = {"key": key, "code": KEYS.get(key, ""), "modifiers": modifiers}
        if len(key) == 1 and not modifiers:
            about["text"] = key
        self.call("Input.dispatchKeyEvent", type="keyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def drag(self, *points: tuple[float, float], modifiers: int = 0) -> None:
        """Presses the mouse at the first point, moves it to the others, and lets go."""
        about = {"button": "left", "buttons": 1, "clickCount": 1, "modifiers": modifiers}
        for number, (x, y) in enumerate(points):
            kind = "mouseMoved" if number else "mousePressed"
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **about)
        x, y = points[-1]
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, **about)

    def click(self, selector: str) -> None:
        """A click into the middle of an element, which is scrolled to."""
        self.drag(self.middle(selector))

    def middle(self, selector: str) -> tuple[float, float]:
        """The middle of an element on the screen."""
        return tuple(
            self.evaluate(
                f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
                "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
                "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
            )
        )

    def png(self, canvas: str) -> bytes:
        """What a canvas shows."""
        url = self.evaluate(f"document.getElementById({json.dumps(canvas)}).toDataURL('image/png')")
        return base64.b64decode(url.partition(",")[2])


@contextlib.contextmanager
def tab(folder: Path) -> Iterator[Tab]:
    """A fresh browser with one page; what it downloads and remembers is in `folder`."""
    import websocket

    profile = folder / "profile"
    arguments = [
        *(executable(), "--headless=new", "--disable-gpu", "--no-first-run"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=1200,1000"),
        *("--disable-background-networking", "--disable-dev-shm-usage", "about:blank"),
    ]
    if os.geteuid() == 0:
        arguments.insert(1, "--no-sandbox")  # its sandbox does not work for root
    nothing = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    # It is killed, so that what it puts into a folder for temporary files stays there. That has a
    # short name: there are sockets in it, whose paths may have 107 letters.
    short = tempfile.TemporaryDirectory(prefix="nitrogen-", ignore_cleanup_errors=True)
    with (
        short as temporary,
        subprocess.Popen(
            arguments, start_new_session=True, env={**os.environ, "TMPDIR": temporary}, **nothing
        ) as process,
    ):
        try:
            port = _port(profile / "DevToolsActivePort", process)
            socket = websocket.create_connection(
                f"ws://127.0.0.1:{port[0]}{port[1]}",
                timeout=SECONDS,
                suppress_origin=True,
                http_no_proxy=["127.0.0.1"],
            )
            with contextlib.closing(socket):
                yield Tab(_Session(socket, folder))
        finally:
            # NOTE: it has a group of its own, so nothing else is ended.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class _Session:
    """The socket of the browser as that of its first page."""

    def __init__(self, socket, folder: Path):
        self.socket, self.session, self.kept = socket, None, []
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        self.session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        session, self.session = self.session, None
        self._ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.session = session

    def send(self, text: str) -> None:
        self.socket.send(json.dumps({**json.loads(text), "sessionId": self.session}))

    def recv(self) -> str:
        return self.socket.recv()

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.socket.send(json.dumps({"id": 10**9, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == 10**9:
                assert "error" not in message, message["error"]
                return message["result"]


def _port(file: Path, process: subprocess.Popen) -> tuple[int, str]:
    """The port that the browser listens at, and the path to its socket."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"the browser ended with code {process.returncode}"
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return int(lines[0]), lines[1]
        time.sleep(0.05)
    raise TimeoutError("the browser does not start")
