"""The Butler's ways out and in: export, import, transfer, retrieval, zip bundles."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.errors import ArgumentError
from ..model.given import Datasets
from ..registry import bulk
from ..registry.registry import Registry, one_operation
from .header_values import HeaderKeys
from .transaction import FileJournal

if TYPE_CHECKING:
    from ..storage.datastore import Datastore
    from .exchange.receive import Received

__all__ = ["ButlerExchange"]


class ButlerExchange:
    """What goes between a repository and others; `Butler` inherits it."""

    registry: Registry
    datastore: Datastore
    header_keys: HeaderKeys
    _journal: FileJournal

    @one_operation
    def export(
        self,
        target: str | os.PathLike[str],
        datasets: Datasets | None = None,
        *,
        collections: str | Iterable[str] | None = None,
        elements: str | Iterable[str] | None = None,
        transfer: str | None = "copy",
    ) -> Path:
        """Write datasets, and all that must be known of them, into a folder that another repository can take in.

        Parameters
        ----------
        target
            A new folder, or a YAML file in one; the export's tables and files lie beside it.
        datasets
            Which: a query, references or ids. Where left out, all that ``collections`` hold; without these, too,
            the whole repository with all its dimension records.
        collections
            Names or globs of collections that go along beside the datasets' RUNs: chains, and which of these datasets
            TAGGED collections hold and CALIBRATION collections certify.
        elements
            Elements of which all dimension records go along, not only those that the datasets need.
        transfer
            What becomes of the files: ``copy``; ``link``, hard links where that can be; ``direct``, the export says
            where they lie; None, it says where they lie below this repository, for a copy of it.

        Returns
        -------
        pathlib.Path
            The YAML file. What is exported twice gives the same bytes.

        Raises
        ------
        ConflictingDefinitionError
            Something is there already; nothing is overwritten.
        DatasetNotFoundError
            A dataset is not registered.
        FileIntegrityError
            A file is gone, or is not what was written.
        """
        from ..registry.queries.arguments import names
        from .exchange.export import write_export
        from .exchange.gather import gather, refs_in

        named = names("*" if datasets is None and collections is None else collections, "collections")
        if elements is None:
            wanted = [e.name for e in self.registry.universe.elements if e.has_table] if named == ("*",) else []
        else:
            wanted = list(names(elements, "elements"))
        refs = refs_in(self.registry, named) if datasets is None else bulk.refs_given(self.registry, datasets)
        return write_export(gather(self.registry, refs, named, wanted), self.datastore, target, transfer)

    @one_operation
    def import_(
        self,
        source: str | os.PathLike[str],
        *,
        transfer: str = "auto",
        skip_existing: bool = False,
        dry_run: bool = False,
    ) -> Received:
        """Take in what `export`, or LSST's butler, has written: all of it, or nothing.

        Datasets keep their ids. What contradicts this repository is told before anything is written; a chain that is
        there searches what it searched, and then what is new.

        Parameters
        ----------
        source
            The export's folder, or its YAML file.
        transfer
            What becomes of the files, as in `Butler.ingest`: ``copy``, ``link``, ``move``, ``in_place``, ``direct``, or
            ``auto``. Only ``direct`` takes files from where the export says that they are, outside its folder.
        skip_existing
            Whether datasets that are there already, under the same id, are passed over.
        dry_run
            Whether all is tried, but for the files, and undone.

        Returns
        -------
        Received
            What is new, in numbers.

        Raises
        ------
        ConflictingDefinitionError
            A record, dataset, dataset type or collection is there, and is another; both are shown.
        DatasetExistsError
            A dataset is there already, and that is not to be passed over.
        FileFormatError
            It is no export, is damaged, or names what is not below its folder.
        FileIntegrityError
            A file is not what was exported.
        DataIdError
            This repository's dimensions lack something that is needed.
        """
        from .exchange.import_ import import_export

        return import_export(self, source, transfer=transfer, skip_existing=skip_existing, dry_run=dry_run)

    @one_operation
    def transfer_from(
        self,
        other: ButlerExchange,
        datasets: Datasets,
        *,
        transfer: str = "auto",
        transfer_dimensions: bool = True,
        register_dataset_types: bool = True,
        skip_existing: bool = False,
        dry_run: bool = False,
    ) -> Received:
        """Take datasets of another repository, with what is noted of them: all of them, or none.

        Parameters
        ----------
        other
            The other repository's Butler; it is only read.
        datasets
            Which: a query of it, references or ids. They keep their ids and RUNs.
        transfer
            ``copy``, ``link``, ``direct`` (the files stay there), or ``auto``: hard links where that can be.
        transfer_dimensions
            Whether dimension records come along that this repository lacks.
        register_dataset_types
            Whether dataset types come along that this repository lacks.
        skip_existing, dry_run
            As in `import_`.

        Returns
        -------
        Received
            What is new, in numbers.

        Raises
        ------
        ConflictingDefinitionError, DatasetExistsError, DataIdError
            As by `import_`.
        DatasetTypeNotFoundError
            A dataset type is unknown here, and not to be registered.
        FileIntegrityError
            A file is gone there, or is not what was written.
        """
        from .exchange.import_ import transfer_datasets

        if not isinstance(other, ButlerExchange):
            raise ArgumentError(f"datasets are taken from a Butler: Butler({other!r}), not {other!r}.")
        refs = bulk.refs_given(other.registry, datasets)
        return transfer_datasets(
            self, other, refs, transfer=transfer, transfer_dimensions=transfer_dimensions,
            register_dataset_types=register_dataset_types, skip_existing=skip_existing, dry_run=dry_run,
        )  # fmt: skip

    @one_operation
    def retrieve(
        self,
        datasets: Datasets,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        preserve_path: bool = True,
    ) -> list[Path]:
        """Copy the files of datasets into a folder.

        Parameters
        ----------
        datasets
            Which: a query, references or ids.
        folder
            Where to; made where it is not there.
        overwrite
            Whether files that are there are replaced.
        preserve_path
            Whether files have the folders that they have in the repository; else all lie in one.

        Returns
        -------
        list of pathlib.Path
            The file of each dataset, in their order.

        Raises
        ------
        DatasetNotFoundError
            A dataset is not registered, or has no file.
        FileExistsError
            A file is there already, and is not to be replaced; nothing was copied.
        FileIntegrityError
            A file is gone, or is not what was written.
        """
        from .exchange.retrieve import retrieve_files

        refs = bulk.refs_given(self.registry, datasets)
        return retrieve_files(self, refs, folder, overwrite=overwrite, preserve_path=preserve_path)

    @one_operation
    def retrieve_zip(self, datasets: Datasets, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write datasets, and all that must be known of them, into one zip bundle, for `ingest_zip`.

        Parameters
        ----------
        datasets
            Which: a query, references or ids.
        path
            The new file; its name ends in ``.zip``.
        overwrite
            Whether a file that is there is replaced.

        Raises
        ------
        DatasetNotFoundError
            A dataset is not registered, or has no file.
        FileExistsError
            The file is there already.
        """
        from .exchange.zips import retrieve_bundle

        return retrieve_bundle(self, bulk.refs_given(self.registry, datasets), path, overwrite=overwrite)

    @one_operation
    def ingest_zip(
        self,
        path: str | os.PathLike[str],
        transfer: str = "auto",
        *,
        skip_existing: bool = False,
        dry_run: bool = False,
    ) -> Received:
        """Take in the datasets of a zip bundle, which stays one file: each is read where it lies in it.

        The file goes with the last of its datasets that is removed.

        Parameters
        ----------
        path
            A bundle of `retrieve_zip`'s, or of LSST's butler.
        transfer
            What becomes of the file, as in `Butler.ingest`.
        skip_existing, dry_run
            As in `import_`.

        Returns
        -------
        Received
            What is new, in numbers.

        Raises
        ------
        FileFormatError
            It is no bundle, is damaged, or has members that are compressed, links, or have names of hostile making.
        ConflictingDefinitionError, DatasetExistsError, DataIdError, FileIntegrityError
            As by `import_`.
        """
        from .exchange.zips import ingest_bundle

        return ingest_bundle(self, path, transfer=transfer, skip_existing=skip_existing, dry_run=dry_run)
