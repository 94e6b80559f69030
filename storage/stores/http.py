"""Files that a web server offers: read, never written.

What breaks off is gone on with from where it broke off, a few times; what a server cannot serve is said at once.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from ...model.errors import StoreUnavailableError
from .store import ReadableStore

__all__ = ["HttpStore"]

_BLOCK = 1 << 20
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Answers after which the same request may succeed."""


class HttpStore(ReadableStore):
    """What is below a URL; or, with a location that names no host, whatever whole URLs name.

    Parameters
    ----------
    location
        ``https://host/folder``; or ``https://``.
    timeout
        Seconds for which a server may be silent.
    retries
        How often a request is repeated that breaks off, or that the server cannot answer now.
    pause
        Seconds before the first repetition; twice as many before each further one.
    """

    def __init__(self, location: str, *, timeout: float = 30.0, retries: int = 4, pause: float = 0.25) -> None:
        super().__init__(location.rstrip("/"))
        self._below = not self.location.endswith(":")
        self._timeout, self._retries, self._pause = timeout, retries, pause

    def uri(self, name: str) -> str:
        """Return a URL."""
        return f"{self.location}/{quote(name)}" if self._below else name

    def size(self, name: str) -> int | None:
        """Return the length that the server tells; see `Store.size`."""
        try:
            with closing(self._ask(name, "HEAD", 0, None)) as answer:
                length = answer.headers.get("Content-Length")
        except FileNotFoundError:
            return None
        return sum(map(len, self.stream(name))) if length is None else int(length)

    def stream(self, name: str, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a file's bytes; see `Store.stream`."""
        for attempt in range(self._retries + 1):
            if end is not None and begin >= end:
                return
            try:
                with closing(self._ask(name, "GET", begin, end)) as answer:
                    skip = begin if answer.status == 200 else 0  # a server that knows no ranges begins anew
                    for block in _blocks(answer):
                        wanted = block[skip : None if end is None else end - begin + skip]
                        skip -= min(skip, len(block))
                        begin += len(wanted)
                        if wanted:
                            yield wanted
                        if end is not None and begin >= end:
                            return
                return
            except (HTTPException, TimeoutError, ConnectionError) as error:
                if attempt == self._retries:
                    raise StoreUnavailableError(
                        f"{self.uri(name)} broke off after {begin} bytes, {attempt + 1} times ({_told(error)}); do it "
                        "again when the server is well."
                    ) from error
            time.sleep(self._pause * 2**attempt)

    def _ask(self, name: str, method: str, begin: int, end: int | None) -> HTTPResponse:
        """Send a request, again where that may help, and return the answer.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        StoreUnavailableError
            If it cannot be had.
        """
        url = self.uri(name)
        request = Request(url, method=method, headers={"Accept-Encoding": "identity"})  # noqa: S310 - http(s) only
        if begin or end is not None:
            request.add_header("Range", f"bytes={begin}-{'' if end is None else end - 1}")
        for attempt in range(self._retries + 1):
            try:
                answer: HTTPResponse = urlopen(request, timeout=self._timeout)  # noqa: S310
                return answer
            except HTTPError as error:
                with error:
                    if error.code in (404, 410):
                        raise FileNotFoundError(f"there is no {url}: the server says {error.code}") from error
                    trouble = f"the server says {error.code} {error.reason}"
                    if error.code not in _PASSING:
                        break
            except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
                trouble = _told(error)
            if attempt < self._retries:
                time.sleep(self._pause * 2**attempt)
        raise StoreUnavailableError(
            f"{url} cannot be read: {trouble}. It was asked {attempt + 1} times; see whether a browser can, and do it "
            "again."
        )


def _blocks(answer: HTTPResponse) -> Iterator[bytes]:
    """Yield what a server sends; HTTPException where that is less than it said."""
    while block := answer.read(_BLOCK):
        yield block
    if answer.length:
        raise HTTPException(f"{answer.length} bytes are missing")


def _told(error: Exception) -> str:
    """Return an error in words."""
    return str(getattr(error, "reason", None) or error) or type(error).__name__
