"""Where a dataset's file lies: a path that says what the file is, and that no other dataset can ever have.

A path reads ``{run}/{dataset type}/{required values but the last}/{dataset type}_{values}-{id}{suffix}``, for example
``u/me/try1/calexp/HSC/9033/calexp_HSC_903334_16-5f3a9c01b2d4.fits``. Numbers share a folder by the hundred: a camera of
one detector would else have a folder, to be made and flushed, for each file. The last 12 hexadecimal digits of the
dataset's id make a path unique; the rest is for people, and for listing a folder.

Every name is percent-escaped to ``[A-Za-z0-9._+-]``, so that no value, however hostile, can leave its folder, hide, or
be read differently by another file system.
"""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model.datasets import DatasetRef

__all__ = ["dataset_path", "dataset_type_of", "escape", "file_suffix"]

MAX_NAME = 100
"""Longest escaped name of one folder, in bytes; longer ones are cut and given a digest."""

MAX_STEM = 180
"""Longest file name before the id and suffix, in bytes: with them it stays below the 255 that file systems allow."""

_PER_FOLDER = 100
"""How many numbers, such as visits, share a folder."""

_SAFE = re.compile(r"[A-Za-z0-9_+-](?:[A-Za-z0-9._+-]*[A-Za-z0-9_+-])?").fullmatch
_KEPT = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|skybutler\.yaml|.*\.(sqlite3?|db)(-.*)?", re.IGNORECASE
).fullmatch
"""Names that Windows keeps for devices, and a repository for itself and its database."""
_UNSAFE_BYTE = re.compile(rb"[^A-Za-z0-9._+-]")
_DATASET_FILE = re.compile(r"(.+)-[0-9a-f]{12}(?:-[0-9a-f]{16})?(?:\.[A-Za-z0-9._+-]{1,15})?").fullmatch
_COMPRESSED = {".gz", ".fz", ".bz2", ".xz", ".zst"}


@lru_cache(maxsize=4096)
def escape(value: str, longest: int = MAX_NAME) -> str:
    """Turn any text into the name of one file or folder; two texts never give the same name.

    Parameters
    ----------
    value
        Any text, also an empty one or one with NUL, slashes, dots or lone surrogates.
    longest
        The greatest length of the name; a longer one is cut, and closes with ``%-`` and a 64-bit digest of the text.

    Returns
    -------
    str
        Only letters, digits, ``. _ + -`` and ``%XX`` (a UTF-8 byte in hexadecimal); never empty, never with a dot at
        its begin or end, nor a name that a system, or a repository, keeps for itself.
    """
    if _SAFE(value) and len(value) <= longest and not _KEPT(value):
        return value
    if not value:
        return "%"  # a lone percent sign stands for nothing else: others are followed by two digits or a minus
    encoded = value.encode("utf-8", "surrogatepass")
    name = _UNSAFE_BYTE.sub(lambda match: b"%%%02X" % match[0][0], encoded).decode("ascii")
    if name[0] == ".":
        name = "%2E" + name[1:]
    if name[-1] == ".":
        name = name[:-1] + "%2E"
    if _KEPT(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return _shortened(name, encoded, longest)


def _shortened(name: str, whole: bytes, longest: int) -> str:
    """Cut a name that is too long, not amid a ``%XX``, and close it with a digest of the whole text."""
    if len(name) <= longest:
        return name
    kept = name[: longest - 18]
    if "%" in kept[-2:]:
        kept = kept[: kept.rindex("%")]
    return f"{kept}%-{blake2b(whole, digest_size=8).hexdigest()}"


def dataset_path(ref: "DatasetRef", suffix: str) -> str:
    """Return the path of a dataset's file, relative to the datastore's root.

    Parameters
    ----------
    ref
        The dataset; its run, dataset type, required data-ID values and id make the path.
    suffix
        Ending of the file name with its dot, such as ``".fits"``.

    Returns
    -------
    str
        A relative POSIX path.
    """
    data_id = ref.data_id
    kind = escape(ref.dataset_type.name)
    given = [data_id[name] for name in ref.dataset_type.dimensions.required]
    values = [escape(str(value)) for value in given]
    folders = [escape(part) for part in ref.run.split("/")]
    shared = [str(value // _PER_FOLDER) if isinstance(value, int) else escape(value) for value in given[:-1]]
    stem = "_".join((kind, *values))
    if len(stem) > MAX_STEM:
        stem = _shortened(stem, stem.encode("ascii"), MAX_STEM)
    return "/".join((*folders, kind, *shared, f"{stem}-{ref.id.hex[-12:]}{suffix}"))


def dataset_type_of(path: str) -> str | None:
    """Return the dataset type of a path that `dataset_path`, or a datastore to whom that was taken, has made.

    Returns
    -------
    str or None
        Its name; None for any other path.
    """
    *folders, name = path.split("/")
    found = _DATASET_FILE(name)
    if found is None:
        return None
    stem = found[1]
    return next((kind for kind in folders[1:] if stem == kind or stem.startswith(f"{kind}_")), None)


def file_suffix(name: str) -> str:
    """Return the ending that tells a file's format, in full: ``".fits.fz"``, not ``".fz"``; or ``""``."""
    name = name.rpartition("/")[2]
    if name.endswith("."):
        return ""
    suffixes = [f".{part}" for part in name.lstrip(".").split(".")[1:][-2:]]
    if len(suffixes) == 2 and suffixes[1].lower() not in _COMPRESSED:
        suffixes = suffixes[1:]
    suffix = "".join(suffixes)
    return suffix if len(suffix) <= 16 and (not suffix or _SAFE(suffix[1:])) else ""
