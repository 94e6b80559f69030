"""Servers on this machine that misbehave on purpose: what reads and writes over a network is tried on them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

__all__ = ["CuttingProxy", "WebServer", "cutting_proxy", "web_server"]

_BLOCK = 1 << 16


class CuttingProxy:
    """Passes TCP connections on to a server, and breaks them off where it is told to.

    Attributes
    ----------
    url : `str`
        Where it listens: ``http://127.0.0.1:port``.
    up, down : `int` or `None`
        Bytes towards the server, and back, after which a connection is broken off; None for never.
    cuts : `int` or `None`
        How many connections are still to be broken off; None for all.
    connections : `int`
        How many there have been.
    received : `int`
        Bytes that came back from the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = Lock()
        self._open: list[socket.socket] = []
        self.up: int | None = None
        self.down: int | None = None
        self.cuts: int | None = None
        self.connections = 0
        self.received = 0

    def behave(self) -> None:
        """Pass everything on from now on."""
        self.up = self.down = self.cuts = None

    def serve(self) -> None:
        """Pass connections on until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self._port))
                self._open += [client, server]
                for source, target, up in ((client, server, True), (server, client, False)):
                    Thread(target=self._pass_on, args=(source, target, up), daemon=True).start()

    def close(self) -> None:
        """Stop, and break off what is left."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            _break_off(connection)
            connection.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        passed = 0
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                limit = self.up if up else self.down
                if limit is not None and passed + len(block) > limit and self._may_cut():
                    target.sendall(block[: limit - passed])
                    break
                target.sendall(block)
                passed += len(block)
                if not up:
                    with self._lock:
                        self.received += len(block)
        _break_off(source)
        _break_off(target)

    def _may_cut(self) -> bool:
        with self._lock:
            if self.cuts is None:
                return True
            self.cuts -= 1
            return self.cuts >= 0


def _break_off(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(port: int) -> Iterator[CuttingProxy]:
    """Run a `CuttingProxy` before the server at a port of this machine."""
    proxy = CuttingProxy(port)
    thread = Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()


class WebServer(ThreadingHTTPServer):
    """Serves files from memory over HTTP, with ranges, and with what trouble it is told to make.

    Attributes
    ----------
    files : `dict` [`str`, `bytes`]
        Content by path, without the slash at its beginning.
    trouble : `list`
        What goes wrong with each next GET, in order: a status to answer with (500), or ``("cut", n)`` to break off
        after n bytes, or ``("length", n)`` to say that there are n bytes. None, or the end of the list: nothing.
    ranges : `bool`
        Whether parts can be asked for.
    requests : `list` [`str`]
        What was asked: method and path.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.trouble: list[Any] = []
        self.ranges = True
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False, trouble=None)

    def do_GET(self) -> None:
        self._answer(body=True, trouble=self.server.trouble.pop(0) if self.server.trouble else None)

    def _answer(self, *, body: bool, trouble: Any) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        data = self.server.files.get(self.path.removeprefix("/"))
        if isinstance(trouble, int) or data is None:
            self.send_error(trouble or 404)
            return
        what, limit = trouble or ("", 0)
        asked = self.headers.get("Range")
        if asked and self.server.ranges:
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            data = data[int(begin) : int(end) + 1 if end else None]
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(limit if what == "length" else len(data)))
        self.end_headers()
        if body:
            with suppress(OSError):
                self.wfile.write(data[:limit] if what == "cut" else data)


@contextmanager
def web_server(files: Mapping[str, bytes]) -> Iterator[WebServer]:
    """Run a `WebServer`."""
    with WebServer(files) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
