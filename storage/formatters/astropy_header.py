"""The YAML header that astropy, and LSST's butler with it, keeps in the metadata of a Parquet file."""

from typing import Any

from ...model.provenance import says_provenance

__all__ = ["astropy_header", "without_provenance"]


def astropy_header(text: bytes) -> dict[str, Any]:
    """Return what the header says; nothing where it cannot be read."""
    from astropy.table.meta import YamlParseError, get_header_from_yaml

    try:
        header = get_header_from_yaml(text.decode().split("\n"))
    except (YamlParseError, ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError):
        return {}
    return header if isinstance(header, dict) else {}


def without_provenance(text: bytes) -> bytes:
    """Return the header without what it says of the dataset that another file was."""
    import yaml
    from astropy.io.misc.yaml import AstropyDumper

    header = astropy_header(text)
    if not isinstance(meta := header.get("meta"), dict):
        return text
    kept = {**header, "meta": {key: value for key, value in meta.items() if not says_provenance(key)}}
    dumped: str = yaml.dump(kept, Dumper=AstropyDumper, sort_keys=False, width=130)
    return dumped.encode()
