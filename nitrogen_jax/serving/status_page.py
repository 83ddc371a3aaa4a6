"""Health and metrics over HTTP, for machines that watch a server; on loopback only."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nitrogen_jax.errors import NitrogenError

HOST = "127.0.0.1"


class StatusPage:
    """Answers GET /health (200, or 503 while the server does not serve) and GET /metrics."""

    def __init__(self, port: int, state: Callable[[], str], metrics: Callable[[], str]):
        """
        Args:
            port: 0 for any.
            state: what the server does, "serving" when all is well.
            metrics: the text for /metrics.
        """

        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # seconds for which a silent peer holds a thread

            def do_GET(self) -> None:
                if self.path == "/health":
                    now = state()
                    body = json.dumps({"status": now}) + "\n"
                    self._reply(200 if now == "serving" else 503, "application/json", body)
                elif self.path == "/metrics":
                    self._reply(200, "text/plain; version=0.0.4; charset=utf-8", metrics())
                else:
                    self._reply(404, "text/plain", "there are /health and /metrics\n")

            def _reply(self, code: int, kind: str, body: str) -> None:
                data = body.encode()
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *about: object) -> None:
                """Silence: a scrape every few seconds is no news."""

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise NitrogenError(
                f"port {port} of {HOST} cannot be used for metrics: {reason}"
            ) from None
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
