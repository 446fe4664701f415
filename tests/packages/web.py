# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory served over HTTP on this host, with what was asked for."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class _Handler(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Notes what was asked for."""
        self.server.asked.append(self.path)  # type: ignore[attr-defined]

    def log_error(self, *words: object) -> None:
        """What is missing is a test's business."""


class _Refusing(_Handler):
    def do_GET(self) -> None:
        """A proxy that wants to know who asks (http.server looks for a method of this name)."""
        self.send_error(407)


@dataclass
class Web:
    """A server at work."""

    server: http.server.ThreadingHTTPServer
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()


def _run(handler: Callable[..., _Handler]) -> Web:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    web = Web(server)
    server.asked = web.asked  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return web


def serve(directory: Path) -> Web:
    """Serves the directory until stop()."""
    return _run(functools.partial(_Handler, directory=str(directory)))


def refusing_proxy() -> Web:
    """A proxy that lets nobody through, until stop()."""
    return _run(_Refusing)
