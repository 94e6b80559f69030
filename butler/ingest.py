"""Taking raw frames into a repository: headers to records, records to visits, files to datasets."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..instruments.headers import read_headers
from ..instruments.instrument import Instrument
from ..instruments.translate import Observation
from ..model.collections import CollectionType
from ..model.datasets import DatasetRef, DatasetType, FileDataset, dataset_uuid
from ..model.errors import SkyButlerError
from ..model.region import Region
from .butler import Butler
from .progress import track
from .standard import DEFAULT_COLLECTION

__all__ = ["IngestReport", "find_frames", "ingest_raws", "register_instrument"]

_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz", ".fit.gz", ".fz")
_SHOWN = 5  # how many failures a report names at once
_VISIT_SYSTEM = {"id": 0, "name": "one-to-one"}


@dataclass(slots=True, repr=False)
class IngestReport:
    """What became of the files that were to be ingested."""

    run: str
    """The RUN that the raws are in."""
    ingested: list[DatasetRef] = field(default_factory=list)
    """Datasets that are new."""
    known: list[Path] = field(default_factory=list)
    """Files whose frames were there already."""
    failed: list[tuple[Path, str]] = field(default_factory=list)
    """Files that were passed over, and why."""
    visits: int = 0
    """Visits that were defined or completed."""
    camera: str = ""
    """The RUN that keeps the camera as it is described now, where it was described otherwise before."""

    def __str__(self) -> str:
        parts = [f"{len(self.ingested)} raw frames ingested into {self.run!r}", f"{self.visits} visits defined"]
        if self.camera:
            parts.append(f"the camera is described anew: {self.camera!r}")
        if self.known:
            parts.append(f"{len(self.known)} were there already")
        if self.failed:
            parts.append(f"{len(self.failed)} passed over")
        return ", ".join(parts)

    def __repr__(self) -> str:
        reasons = [reason for _, reason in self.failed[:_SHOWN]]
        more = [f"… and {len(self.failed) - _SHOWN} more in .failed"] if len(self.failed) > _SHOWN else []
        return "\n  ".join([f"IngestReport({self})", *reasons, *more])


@dataclass(frozen=True, slots=True)
class _Frame:
    path: Path
    observation: Observation
    header: dict[str, Any]
    """The values of its header that are kept."""

    @property
    def key(self) -> tuple[int, int]:
        return self.observation.exposure["id"], self.observation.detector


def find_frames(places: Iterable[str | Path]) -> list[Path]:
    """Return the FITS files among some files and below some folders, in order of their names.

    Raises
    ------
    FileNotFoundError
        A place is not there.
    """
    found: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            found += sorted(p for p in place.rglob("*") if p.name.lower().endswith(_SUFFIXES) and p.is_file())
        elif place.exists():
            found.append(place)
        else:
            raise FileNotFoundError(f"there is no {str(place)!r} to ingest.")
    return list(dict.fromkeys(found))


def register_instrument(butler: Butler, instrument: Instrument) -> list[str]:
    """Make an instrument, its detectors and filters known, and keep its camera and description; again does nothing.

    The datasets ``camera`` and ``camera_description`` go to the RUN ``<instrument>/camera``. Which of them has changed
    since (by another gain, say) goes to a RUN ``<instrument>/camera/<time>``: what is done already keeps the camera
    that it was done with.

    Returns
    -------
    list of str
        The RUNs that keep the camera, the last described first.

    Raises
    ------
    ConflictingDefinitionError
        The repository has it with other detectors or filters.
    """
    with butler.transaction():
        for element, rows in instrument.registration_records().items():
            for row in rows:
                # The instrument's own row says how many detectors there are and where its YAML lies: both may change.
                butler.sync_dimension_records(element, row, update=element == "instrument")
    first = f"{instrument.name}/camera"
    doc = f"What {instrument.name} is made of."
    described = DatasetType("camera_description", ("instrument",), "Dict", True, universe=butler.universe)
    butler.register_dataset_type(described)  # an older repository lacks it
    butler.collections.register(first, CollectionType.RUN, doc)
    runs = [*sorted(butler.collections.list(f"{first}/*"), reverse=True), first]
    now: dict[str, Any] = {"camera": instrument.camera(), "camera_description": instrument.to_dict()}
    known = {name: butler.find_dataset(name, instrument=instrument.name, collections=runs) for name in now}
    changed = [name for name, ref in known.items() if ref is not None and butler.get(ref) != now[name]]
    if changed:
        runs.insert(0, f"{first}/{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    with butler.transaction():
        butler.collections.register(runs[0], CollectionType.RUN, doc)
        for name, ref in known.items():
            if ref is None or name in changed:
                butler.put(name, now[name], instrument=instrument.name, run=runs[0])
    return runs


def ingest_raws(
    butler: Butler,
    places: str | Path | Iterable[str | Path],
    instrument: Instrument | str | Path,
    *,
    run: str | None = None,
    transfer: str = "auto",
    add_to_defaults: bool = True,
) -> IngestReport:
    """Ingest raw frames: read their headers, define exposures and visits, register the files.

    What is there already is passed over, so it may be repeated. A file that cannot be understood is reported and keeps
    none of the others out.

    Parameters
    ----------
    butler
        The repository.
    places
        Files, and folders that are searched for FITS files; or one of them.
    instrument
        The camera that took them: its name where it is shipped, or its YAML file.
    run
        RUN of the raws; ``<instrument>/raw`` where left out.
    transfer
        What becomes of the files; see `Butler.ingest`.
    add_to_defaults
        Whether the collection ``defaults`` is to search the raws and the camera.

    Raises
    ------
    FileNotFoundError
        A place is not there.
    ConflictingDefinitionError
        The repository knows the instrument otherwise.
    """
    if isinstance(instrument, str | Path):
        instrument = Instrument.load(instrument)
    paths = find_frames([places] if isinstance(places, str | Path) else places)
    report = IngestReport(run or f"{instrument.name}/raw")
    frames = _read(instrument, paths, report, butler)
    if not frames:  # frames of another camera, perhaps: it does not become known by mistake
        return report
    butler.collections.register(report.run, CollectionType.RUN, f"Raw frames of {instrument.name}.")
    before = butler.collections.list(f"{instrument.name}/camera*")
    cameras = register_instrument(butler, instrument)
    if before and cameras[0] not in before:
        report.camera = cameras[0]
    frames = _record(butler, frames, report)
    _define_visits(butler, instrument.name, [frame for frame in frames if frame.observation.is_science], report)
    _register(butler, instrument.name, frames, report, transfer)
    if add_to_defaults:
        _add_to_defaults(butler, [report.run, *cameras])
    return report


def _read(instrument: Instrument, paths: Sequence[Path], report: IngestReport, butler: Butler) -> list[_Frame]:
    """Read and translate headers; what cannot be read goes to the report."""
    frames: dict[tuple[int, int], _Frame] = {}
    for path in track(paths, "Reading headers"):
        try:
            headers = read_headers(path)
            observations = instrument.translate(headers, path)
            if len(observations) > 1:
                raise SkyButlerError(f"{path} holds {len(observations)} images; one a file can be ingested.")
            said = ChainMap(dict(headers[observations[0].hdu]), dict(headers[0]))
            frame = _Frame(path, observations[0], butler.header_keys.chosen("raw", said))
            if (other := frames.setdefault(frame.key, frame)) is not frame:
                raise SkyButlerError(
                    f"{path} is exposure {frame.key[0]} of detector {frame.key[1]}, as is {other.path}."
                )
        except (SkyButlerError, OSError) as error:
            report.failed.append((path, str(error)))
    return list(frames.values())


def _record(butler: Butler, frames: list[_Frame], report: IngestReport) -> list[_Frame]:
    """Make days, groups and exposures known; frames that contradict what is there go to the report."""
    good = []
    synced: set[tuple[str, Any]] = set()
    with butler.transaction():
        for frame in frames:
            made = frame.observation
            try:
                for element, row in (("day_obs", made.day_obs), ("group", made.group), ("exposure", made.exposure)):
                    key = (element, row.get("id", row.get("name")))
                    if key not in synced:
                        butler.sync_dimension_records(element, row)
                        synced.add(key)
                good.append(frame)
            except SkyButlerError as error:
                report.failed.append((frame.path, f"{frame.path}: {error}"))
    return good


def _define_visits(butler: Butler, instrument: str, frames: Sequence[_Frame], report: IngestReport) -> None:
    """Define a visit for each science exposure, with the region that its detectors cover."""
    here = {"instrument": instrument}
    regions: dict[int, dict[int, Region]] = {}
    rows: dict[int, dict[str, Any]] = {}
    for frame in frames:
        exposure, detector = frame.key
        rows[exposure] = frame.observation.exposure
        if frame.observation.region is not None:
            regions.setdefault(exposure, {})[detector] = frame.observation.region
    if not rows:
        return
    visit = butler.universe["visit"]
    inherited = [c.name for c in visit.columns if c.name in butler.universe["exposure"].index]
    with butler.transaction():
        butler.sync_dimension_records("visit_system", here | _VISIT_SYSTEM)
        for exposure, row in rows.items():
            known = {
                record.detector: record.region
                for record in butler.query_dimension_records(
                    "visit_detector_region", instrument=instrument, visit=exposure
                )
            }
            all_regions = {**known, **regions.get(exposure, {})}
            record = {name: row.get(name) for name in inherited}
            record |= {"name": row["obs_id"], "region": _hull(all_regions.values())}
            changed = butler.sync_dimension_records("visit", record, update=True)
            key = here | {"visit": exposure}
            butler.sync_dimension_records("visit_definition", key | {"exposure": exposure})
            butler.sync_dimension_records("visit_system_membership", key | {"visit_system": _VISIT_SYSTEM["id"]})
            for detector, region in regions.get(exposure, {}).items():
                butler.sync_dimension_records(
                    "visit_detector_region", key | {"detector": detector, "region": region}, update=True
                )
            report.visits += bool(changed)


def _hull(regions: Iterable[Region]) -> Region | None:
    """Return the convex hull of polygons, None of none."""
    numbers = [float(n) for region in regions for n in region.ivoa.split()[1:]]
    return Region.polygon(list(zip(numbers[::2], numbers[1::2], strict=True))) if numbers else None


def _register(butler: Butler, instrument: str, frames: Sequence[_Frame], report: IngestReport, transfer: str) -> None:
    """Register the files as raws, those that are there already left out."""
    dataset_type = butler.dataset_type("raw")
    files = []
    for frame in frames:
        data_id = {"instrument": instrument, "exposure": frame.key[0], "detector": frame.key[1]}
        ref = DatasetRef(dataset_type, data_id, report.run, dataset_uuid("raw", data_id, report.run))
        files.append(FileDataset(frame.path, [ref], header=frame.header))
    known = butler.registry.datasets.existing(ref for file in files for ref in file.refs)
    report.known += [Path(file.path) for file in files if file.refs[0].id in known]
    new = [file for file in files if file.refs[0].id not in known]
    report.ingested += butler.ingest(new, transfer)


def _add_to_defaults(butler: Butler, runs: Sequence[str]) -> None:
    children = butler.collections.info(DEFAULT_COLLECTION).children
    if new := [run for run in runs if run not in children]:
        butler.collections.prepend_chain(DEFAULT_COLLECTION, new)
