"""A headless Chromium to look at pages with, over its DevTools protocol.

Notes every request, those that the page's own policy refused, every dialog and console message.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """The browser of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requests: dict[str, str] = {}
        self.refused: list[str] = []
        self.dialogs: list[str] = []
        self.console: list[str] = []
        self.tabs = 0
        self._socket = socket
        self._session: dict[str, str] = {}
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())
        self._loaded = asyncio.Event()

    async def start(self) -> None:
        """Open the tab."""
        await self.call("Target.setDiscoverTargets", discover=True)
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.call(f"{domain}.enable")

    async def open(self, page: Path, width: int = 1200, dark: bool = False) -> None:
        """Show a page, in a window of that width."""
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                        deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded.clear()
        await self.call("Page.navigate", url=page.as_uri())
        await asyncio.wait_for(self._loaded.wait(), 60)

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                                 awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def screenshot(self) -> bytes:
        """What stands in the window, as a PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    def stop(self) -> None:
        """Listen no more."""
        self._reader.cancel()

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, and its answer."""
        self._number += 1
        answer = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        await self._socket.send_json(
            {"id": self._number, "method": method, "params": params, **self._session}
        )
        found: dict[str, Any] = await asyncio.wait_for(answer, 60)
        return found

    async def _read(self) -> None:
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                self._answers.pop(event["id"]).set_result(event.get("result", event))
                continue
            params = event["params"]
            match event["method"]:
                case "Page.loadEventFired":
                    self._loaded.set()
                case "Network.requestWillBeSent":
                    self.requests[params["requestId"]] = params["request"]["url"]
                case "Network.loadingFailed" if params.get("blockedReason") == "csp":
                    self.refused.append(self.requests.pop(params["requestId"]))
                case "Page.javascriptDialogOpening":
                    self.dialogs.append(params["message"])
                case "Runtime.exceptionThrown":
                    self.console.append(params["exceptionDetails"]["text"])
                case "Log.entryAdded":
                    self.console.append(params["entry"]["text"])
                case "Target.targetCreated" if params["targetInfo"]["type"] == "page":
                    self.tabs += 1


@asynccontextmanager
async def chromium(program: str, folder: Path) -> AsyncIterator[Browser]:
    """A browser with one tab, its profile in a folder."""
    with _running(program, folder) as address:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(address, max_msg_size=0) as socket:
                browser = Browser(socket)
                await browser.start()
                yield browser
                browser.stop()


@contextmanager
def _running(program: str, folder: Path) -> Iterator[str]:
    """The browser's process, and where it listens."""
    words = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--remote-debugging-port=0", f"--user-data-dir={folder}")  # fmt: skip
    process = subprocess.Popen(
        [program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    told = folder / "DevToolsActivePort"
    try:
        while not told.exists() or len(told.read_text().split()) < 2:
            assert process.poll() is None, "the browser ended before it listened"
            time.sleep(0.05)
        port, path = told.read_text().split()
        yield f"ws://127.0.0.1:{port}{path}"
    finally:
        # Its helpers outlive it by a moment and would write on into the profile.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
