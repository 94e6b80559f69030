"""What a file tells of the dataset that it is: ``skybutler.provenance(path)``, without a repository."""

import json
import os
from pathlib import Path
from typing import Any

from ..model.errors import FileFormatError
from ..model.provenance import FileProvenance

__all__ = ["provenance"]


def provenance(path: str | os.PathLike[str]) -> FileProvenance | None:
    """Return which dataset a file is, and what that was made of, as the file itself tells.

    Parameters
    ----------
    path
        A FITS or Parquet file that SkyButler or LSST's butler wrote.

    Returns
    -------
    FileProvenance or None
        Dataset type, data ID, RUN, id and inputs; None of a file that does not tell, such as one that was never in a
        repository, or is of another format. Where a file has been given to a repository as it was (`Butler.ingest`), it
        tells what it told before.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileFormatError
        It is a FITS or Parquet file that cannot be read, or what it tells makes no sense.
    """
    path = Path(path)
    with path.open("rb") as stream:
        begin = stream.read(9)
    try:
        if begin == b"SIMPLE  =" or begin[:2] == b"\x1f\x8b":
            return _of_fits(path)
        return _of_parquet(path) if begin[:4] == b"PAR1" else None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path} does not tell properly which dataset it is: {error}") from error


def _of_fits(path: Path) -> FileProvenance | None:
    from .formatters.fits_file import FitsFile

    with FitsFile(path) as file:
        return FileProvenance.from_pairs(((card.keyword, card.value) for card in file[0].header.cards), " ")


def _of_parquet(path: Path) -> FileProvenance | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} is not a Parquet file that can be read: {error}") from error
    said: Any = json.loads(metadata.get(b"skybutler", b"{}"))
    if "id" in said:
        return FileProvenance.from_dict(said)
    if b"LSST.BUTLER." in (header := metadata.get(b"table_meta_yaml", b"")):
        from .formatters.astropy_header import astropy_header

        meta = astropy_header(header).get("meta")
        return FileProvenance.from_pairs(meta.items() if isinstance(meta, dict) else (), ".")
    return None
