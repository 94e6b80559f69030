"""Which values of datasets' headers are kept in the registry, for datasets to be found by.

`DEFAULT_KEYS`, unless ``skybutler.yaml`` says otherwise: keys or globs by dataset types or globs, of which the first
that fits a type counts::

    header_values:
      raw: [AIRMASS, EXPTIME, "TEL*"]
      "deepCoadd*": []
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ..model.datasets import DatasetRef, FileDataset, StoredFile
from ..model.errors import ConfigError, FileFormatError
from ..storage.datastore import Datastore
from ..storage.formatters import formatter, formatter_for

__all__ = ["DEFAULT_KEYS", "HeaderKeys"]

DEFAULT_KEYS = ("AIRMASS", "DATE-OBS", "DEC", "EXPTIME", "FILTER", "IMAGETYP", "OBJECT", "OBSERVER", "PROPID", "RA")
"""What observers know their frames by, and cameras agree in."""


class HeaderKeys:
    """The choice of a repository.

    Parameters
    ----------
    given
        Keys or globs, by dataset types or globs.

    Raises
    ------
    ConfigError
        It is something else.
    """

    def __init__(self, given: object = None):
        rules = {} if given is None else given
        if not isinstance(rules, Mapping) or not all(isinstance(t, str) and _is_keys(k) for t, k in rules.items()):
            raise ConfigError(
                f"header_values are lists of keys by dataset types, such as {{raw: [AIRMASS, 'TEL*']}}; not {given!r}."
            )
        self._rules: dict[str, tuple[str, ...]] = {t: tuple(key.upper() for key in keys) for t, keys in rules.items()}
        self._of_type: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def of_objects(self, items: Iterable[tuple[DatasetRef, Any]]) -> dict[uuid.UUID, dict[str, Any]]:
        """Return the values that are kept of datasets' objects, by the datasets' ids; of most there are none."""
        found = {}
        for ref, obj in items:
            storage_class = ref.dataset_type.storage_class
            if (chosen := formatter_for(storage_class)).has_headers:
                found[ref.id] = self.chosen(ref.dataset_type.name, chosen.header(obj, storage_class))
        return found

    def of_file(self, file: FileDataset, stored: StoredFile, datastore: Datastore) -> dict[uuid.UUID, dict[str, Any]]:
        """Return the values that are kept of an ingested file, for each of its datasets, by their ids."""
        dataset_type, header = file.refs[0].dataset_type, file.header
        if header is None:
            if not (chosen := formatter(stored.formatter)).has_headers:
                return {}
            try:
                header = chosen.read_header(datastore.source(stored), dataset_type.storage_class)
            except FileFormatError as error:
                logging.getLogger(__name__).warning("%s is ingested without header values: %s", file.path, error)
                return {}
        found = self.chosen(dataset_type.name, header)
        return {ref.id: found for ref in file.refs}

    def chosen(self, dataset_type: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a header that are kept of datasets of a type."""
        plain, globs = self._keys(dataset_type)
        found = {key: value for key in plain if (value := header.get(key)) is not None}
        if globs:
            found |= {key: header[key] for key in header if any(fnmatchcase(key, glob) for glob in globs)}
        return found

    def _keys(self, dataset_type: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the keys and the globs for a dataset type."""
        keys = self._of_type.get(dataset_type)
        if keys is None:
            rules = (keys for glob, keys in self._rules.items() if fnmatchcase(dataset_type, glob))
            named = next(rules, DEFAULT_KEYS)
            globs = tuple(key for key in named if any(c in key for c in "*?["))
            keys = self._of_type[dataset_type] = tuple(key for key in named if key not in globs), globs
        return keys


def _is_keys(keys: object) -> bool:
    return isinstance(keys, Iterable) and not isinstance(keys, str) and all(isinstance(key, str) for key in keys)
