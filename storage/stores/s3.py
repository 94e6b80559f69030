"""Files in a bucket of S3, or of what speaks its language (MinIO, Ceph, Garage, …), through obstore.

Objects appear whole: in one conditional request, or, from `LARGE` on, in many whose result gets its name by a
conditional copy within the bucket. Beyond `HUGE`, which cannot be copied so, an empty object takes the name first, and
gives way to the whole. Requests that the network breaks are repeated with growing pauses.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from ...model.errors import ConfigError, ReadOnlyError, StoreUnavailableError
from ..atomic import TEMPORARY_PREFIX
from .store import ListedFile, Store

__all__ = ["HUGE", "LARGE", "S3Store"]

LARGE = 64 << 20
"""Bytes from which on a file travels in parts."""

HUGE = 5 << 30
"""Bytes beyond which S3 copies nothing within a bucket in one request."""

_PART = 16 << 20
_PARTS = 9_000
"""Parts that a file has at most: S3 takes 10,000."""
_MARK = "skybutler-put"
_threads_of: list[int] = []
"""The process that has obstore's threads, once a bucket has been used."""
_METADATA_SERVER = "169.254.169.254"
"""Where machines in Amazon's cloud are given credentials; it is asked where none are set."""
_NO_BUCKET = re.compile("NoSuchBucket|bucket does not exist")


class S3Store(Store):
    """A bucket, or what is below a prefix in one.

    Parameters
    ----------
    location
        ``s3://bucket`` or ``s3://bucket/prefix``.
    endpoint
        URL of a server other than Amazon's; ``AWS_ENDPOINT_URL`` where left out.
    region
        Where the bucket is; ``AWS_REGION`` where left out.
    anonymous
        Whether a public bucket is read without credentials.
    timeout
        Seconds for which a server may be silent.
    retries
        How often a request is repeated that the network or the server breaks.

    Raises
    ------
    ConfigError
        If obstore is not installed, or takes no such settings.

    Notes
    -----
    Credentials are those of the environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, …) or of the machine's
    role; none are kept with a repository.
    """

    def __init__(
        self,
        location: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        anonymous: bool = False,
        timeout: float = 30.0,
        retries: int = 5,
    ) -> None:
        bucket, _, prefix = location.removeprefix("s3://").strip("/").partition("/")
        super().__init__(f"s3://{bucket}/{prefix}".rstrip("/"))
        if not bucket:
            raise ConfigError(f"{location!r} names no bucket; write s3://bucket or s3://bucket/prefix.")
        try:
            import obstore
            from obstore.store import S3Store as Bucket
        except ModuleNotFoundError as error:
            raise ConfigError(f"{location} is read through obstore: pip install 'skybutler[s3]'.") from error
        self._obstore = obstore
        settings: dict[str, Any] = {"checksum_algorithm": "SHA256", "copy_if_not_exists": "multipart"}
        if anonymous:
            settings["skip_signature"] = True
        if endpoint is not None:
            settings["endpoint"] = endpoint
        if region is not None:
            settings["region"] = region
        try:
            self._bucket = Bucket(
                bucket,
                prefix=prefix or None,
                client_options={
                    "allow_http": True,  # of an endpoint that says so itself
                    "connect_timeout": timedelta(seconds=timeout),
                    "read_timeout": timedelta(seconds=timeout),
                    "timeout": timedelta(days=1),  # of a whole file, however large
                },
                retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=timeout * (retries + 1))},
                **settings,
            )
        except obstore.exceptions.BaseError as error:
            raise ConfigError(f"{location} cannot be used: {_reason(error)}") from error

    def size(self, name: str) -> int | None:
        """Return the length of a file; see `Store.size`."""
        try:
            with self._own_errors("looked for", name):
                return int(self._obstore.head(self._bucket, name)["size"])
        except FileNotFoundError:
            return None

    def stream(self, name: str, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a file's bytes; see `Store.stream`."""
        if end is not None and end <= begin:
            return
        span: Any = {"offset": begin} if end is None else (begin, end)
        with self._own_errors("read", name):
            got = self._obstore.get(self._bucket, name, options={"range": span} if begin or end is not None else None)
            yield from map(bytes, got.stream(min_chunk_size=1 << 20))

    def put(self, name: str, source: Path) -> None:
        """Copy a file; see `Store.put`."""
        mark = token_hex(16)
        size = source.stat().st_size
        copied = LARGE <= size <= HUGE
        try:
            with self._own_errors("written", name):
                if copied:
                    self._put_large(name, source, size)
                elif size < LARGE:
                    self._put_small(name, source.read_bytes(), mark)
                else:
                    self._put_huge(name, source, size, mark)
        except FileExistsError:
            if copied or not self._is_mine(name, mark):
                raise
            # The answer to our own request was lost, and the request repeated: what is there is this file.
        except BaseException:
            if not copied and self._is_mine(name, mark):
                with suppress(OSError):  # what is told is why it was not written
                    self.remove(name)
            raise

    def _put_small(self, name: str, data: bytes, mark: str) -> None:
        """Put a file in one request."""
        self._obstore.put(self._bucket, name, data, mode="create", use_multipart=False, attributes={_MARK: mark})

    def _put_huge(self, name: str, source: Path, size: int, mark: str) -> None:
        """Put a file in parts over an empty one, by which its name has been taken: uploads in parts ask for none."""
        try:
            self._put_small(name, b"", mark)
        except self._obstore.exceptions.AlreadyExistsError:
            if not self._is_mine(name, mark):
                raise
        self._put_parts(name, source, size, {_MARK: mark})

    def _put_parts(self, name: str, source: Path, size: int, attributes: dict[str, str]) -> None:
        part = max(_PART, -(-size // _PARTS))
        self._obstore.put(
            self._bucket, name, source, use_multipart=True, chunk_size=part, max_concurrency=4, attributes=attributes
        )

    def _put_large(self, name: str, source: Path, size: int) -> None:
        """Put a file in parts under a name of its own, and copy it within the bucket to where it belongs."""
        folder = f"{name.rpartition('/')[0]}/".removeprefix("/")
        temporary = f"{folder}{TEMPORARY_PREFIX}{token_hex(16)}"
        try:
            self._put_parts(temporary, source, size, {})
            self._obstore.copy(self._bucket, temporary, name, overwrite=False)
        finally:
            with suppress(self._obstore.exceptions.BaseError, OSError):
                self._obstore.delete(self._bucket, temporary)

    def _is_mine(self, name: str, mark: str) -> bool:
        """Whether an object is what a call of `put` with that mark has made."""
        try:
            with self._own_errors("looked for", name):
                attributes = self._obstore.get(self._bucket, name, options={"head": True}).attributes
        except OSError:
            return False
        return attributes.get(_MARK) == mark

    def remove(self, name: str) -> None:
        """Remove a file; see `Store.remove`."""
        self.remove_many([name])

    def remove_many(self, names: Iterable[str]) -> None:
        """Remove files, a thousand in a request."""
        gone = list(names)
        if gone:
            with self._own_errors("removed", gone[0] if len(gone) == 1 else f"({len(gone)} files)"), \
                 suppress(FileNotFoundError):  # fmt: skip
                self._obstore.delete(self._bucket, gone)

    def listing(self, below: str = "") -> Iterator[ListedFile]:
        """Yield files; see `Store.listing`."""
        with self._own_errors("listed", below):
            for objects in self._obstore.list(self._bucket, prefix=below or None):
                for found in objects:
                    yield ListedFile(found["path"], int(found["size"]), found["last_modified"].timestamp())

    @contextmanager
    def _own_errors(self, done: str, name: str) -> Iterator[None]:
        """Tell obstore's errors as our own."""
        kinds = self._obstore.exceptions
        uri = self.uri(name)
        if not _threads_of:
            _threads_of.append(os.getpid())
        elif _threads_of[0] != os.getpid():  # obstore would wait for them for ever
            raise StoreUnavailableError(
                f"{uri} cannot be {done} in this process: it was forked from one that had used a bucket, whose threads "
                "it lacks. Start processes by multiprocessing.get_context('spawn'), or fork before a bucket is used."
            )
        try:
            yield
        except kinds.AlreadyExistsError as error:
            raise FileExistsError(f"there is a {uri} already") from error
        except (FileNotFoundError, kinds.GenericError) as error:
            if _NO_BUCKET.search(str(error)):
                raise StoreUnavailableError(
                    f"{uri} cannot be {done}: there is no such bucket. Make it, or correct the datastore in "
                    "skybutler.yaml."
                ) from error
            if _METADATA_SERVER in str(error):
                raise StoreUnavailableError(
                    f"{uri} cannot be {done}: there are no credentials. Set AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY (no server that gives them to this machine answers); a public bucket is "
                    "read with anonymous: true."
                ) from error
            if isinstance(error, FileNotFoundError):
                raise FileNotFoundError(f"there is no {uri}") from error
            raise self._unavailable(uri, done, error) from error
        except (kinds.PermissionDeniedError, kinds.UnauthenticatedError) as error:
            raise ReadOnlyError(
                f"{uri} cannot be {done}: the server refuses. The credentials in the environment (AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY) must allow it; a public bucket is read with anonymous: true."
            ) from error
        except kinds.BaseError as error:
            raise self._unavailable(uri, done, error) from error

    @staticmethod
    def _unavailable(uri: str, done: str, error: Exception) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{uri} cannot be {done}: {_reason(error)}. Nothing else is harmed; when the server can be reached, do it "
            "again."
        )


def _reason(error: Exception) -> str:
    """Return what an error of obstore's says to a reader: not its debugging part."""
    return str(error).partition("\n\nDebug source")[0].strip().rstrip(".")
