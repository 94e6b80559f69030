"""Taking raw frames into a repository: headers to records, records to visits, files to datasets."""

from __future__ import annotations

import hashlib
import json
from collections import ChainMap
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..instruments.headers import read_headers
from ..instruments.instrument import Instrument
from ..instruments.translate import Observation
from ..model.collections import CollectionType, new_run_name
from ..model.datasets import DatasetRef, DatasetType, FileDataset, dataset_uuid
from ..model.errors import ArgumentError, SkyButlerError
from ..model.region import Region
from ..model.wording import counted
from .butler import Butler
from .header_values import HeaderKeys
from .progress import track
from .raw_files import RawFile, find_frames
from .raw_records import make_known
from .standard import DEFAULT_COLLECTION

__all__ = ["IngestReport", "ingest_raws", "register_instrument"]

_SHOWN = 5  # how many failures a report names at once
_VISIT_SYSTEM = {"id": 0, "name": "one-to-one"}
_REQUESTS = 8  # that go on at once, of files that are elsewhere
_AT_ONCE = 32  # files that a process reads before it reports
_WORTH_IT = 2000  # files for each process, below which one has read them before others have begun


@dataclass(slots=True, repr=False)
class IngestReport:
    """What became of the files that were to be ingested."""

    run: str
    """The RUN that the raws are in."""
    ingested: list[DatasetRef] = field(default_factory=list)
    """Datasets that are new."""
    known: list[Path | str] = field(default_factory=list)
    """Files whose frames were there already; of those elsewhere, the URIs."""
    failed: list[tuple[Path | str, str]] = field(default_factory=list)
    """Files that were passed over, and why."""
    visits: int = 0
    """Visits that were defined or completed."""
    camera: str = ""
    """The RUN that keeps the camera as it is described now, where it was described otherwise before."""

    def __str__(self) -> str:
        parts = [
            f"{counted(len(self.ingested), 'raw frame')} ingested into {self.run!r}",
            f"{counted(self.visits, 'visit')} defined",
        ]
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
    path: Path | str
    observation: Observation
    header: dict[str, Any]
    """The values of its header that are kept."""

    @property
    def key(self) -> tuple[int, int]:
        return self.observation.exposure["id"], self.observation.detector


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
        runs.insert(0, new_run_name(first))
    with butler.transaction():
        butler.collections.register(runs[0], CollectionType.RUN, doc)
        for name, ref in known.items():
            if ref is None or name in changed:
                butler.put(_described_ref(butler, name, instrument, runs[0]), now[name])
    return runs


def _described_ref(butler: Butler, name: str, instrument: Instrument, run: str) -> DatasetRef:
    """Return the reference of what describes an instrument, whose id follows from it and from the description.

    Repositories that describe it the same have the same dataset, and what comes from one to another finds it there.
    """
    data_id = {"instrument": instrument.name}
    content = json.dumps(instrument.to_dict(), sort_keys=True).encode()
    keys = data_id | {"content": hashlib.sha256(content).hexdigest()}
    return DatasetRef(butler.dataset_type(name), data_id, run, dataset_uuid(name, keys, run))


def ingest_raws(
    butler: Butler,
    places: str | Path | Iterable[str | Path],
    instrument: Instrument | str | Path,
    *,
    run: str | None = None,
    transfer: str = "auto",
    add_to_defaults: bool = True,
    on_error: Literal["continue", "stop"] = "continue",
    checksums: bool | None = None,
    processes: int = 1,
) -> IngestReport:
    """Ingest raw frames: read their headers, define exposures and visits, register the files.

    What is there already is passed over, so it may be repeated.

    Parameters
    ----------
    butler
        The repository.
    places
        Files, and folders that are searched for FITS files; or one of them. URIs, too: of files, and of what is below
        a prefix in a bucket (``s3://bucket/night1/``).
    instrument
        The camera that took them: its name where it is shipped, or its YAML file.
    run
        RUN of the raws; ``<instrument>/raw`` where left out.
    transfer
        What becomes of the files; see `Butler.ingest`.
    add_to_defaults
        Whether the collection ``defaults`` is to search the raws and the camera.
    on_error
        What a file does that cannot be understood, or that contradicts what is known: with ``"continue"`` it is
        reported and keeps none of the others out; with ``"stop"`` its error is raised, and nothing is changed.
    checksums
        Whether files that are not copied are read for their checksums; see `Butler.ingest`.
    processes
        How many processes may read headers, where there are thousands. With more than one, a script must be one that
        can be imported (its work below ``if __name__ == "__main__":``), as `multiprocessing` has it.

    Raises
    ------
    FileNotFoundError
        A place is not there.
    ConflictingDefinitionError
        The repository knows the instrument otherwise.
    SkyButlerError, OSError
        What is wrong with a file, where ``on_error`` says so.
    """
    if not isinstance(butler, Butler):
        raise ArgumentError(f"ingest_raws takes the repository's Butler first: Butler({butler!r}), not {butler!r}.")
    if on_error not in ("continue", "stop"):
        raise ValueError(f"on_error={on_error!r} is neither 'continue' nor 'stop'.")
    if isinstance(instrument, str | Path):
        instrument = Instrument.load(instrument)
    elif not isinstance(instrument, Instrument):
        raise ArgumentError(f"an instrument is a name, a YAML file or an Instrument; not {instrument!r}.")
    named = [places] if isinstance(places, str | Path) else list(places)
    for place in named:
        butler.datastore.check_transfer(place, transfer)
    files = find_frames(named, butler.datastore)
    report = IngestReport(run or f"{instrument.name}/raw")
    frames = _read(instrument, files, report, butler, processes, on_error)
    if not frames:  # frames of another camera, perhaps: it does not become known by mistake
        return report
    with butler.transaction() if on_error == "stop" else nullcontext():
        butler.collections.register(report.run, CollectionType.RUN, f"Raw frames of {instrument.name}.")
        before = butler.collections.list(f"{instrument.name}/camera*")
        cameras = register_instrument(butler, instrument)
        if before and cameras[0] not in before:
            report.camera = cameras[0]
        frames = _record(butler, frames, report, on_error)
        _define_visits(butler, instrument.name, [frame for frame in frames if frame.observation.is_science], report)
        _register(butler, instrument.name, frames, report, transfer, checksums)
        if add_to_defaults:
            _add_to_defaults(butler, [report.run, *cameras])
    return report


def _read(
    instrument: Instrument,
    files: Sequence[RawFile],
    report: IngestReport,
    butler: Butler,
    processes: int,
    on_error: str,
) -> list[_Frame]:
    """Read and translate headers; what cannot be read goes to the report, or is raised."""
    frames: dict[tuple[int, int], _Frame] = {}
    read = partial(_read_frame, instrument, butler.header_keys)
    for file, found in zip(track(files, "Reading headers"), _each(read, files, processes), strict=True):
        frame: _Frame | Exception = found
        if isinstance(found, _Frame) and (other := frames.setdefault(found.key, found)) is not found:
            exposure, detector = found.key
            frame = SkyButlerError(f"{file} is exposure {exposure} of detector {detector}, as is {other.path}.")
        if isinstance(frame, Exception):
            if on_error == "stop":
                raise frame
            report.failed.append((_named(file), str(frame)))
    return list(frames.values())


def _named(file: RawFile) -> Path | str:
    """Return what a file is named by: its path, or its URI."""
    return file if isinstance(file, Path) else str(file)


def _each(read: partial[_Frame | Exception], files: Sequence[RawFile], processes: int) -> Iterator[_Frame | Exception]:
    """Yield what is read of each file, in order; by several processes where there are enough files for them."""
    if not all(isinstance(file, Path) for file in files):  # one waits for the network, not for the processor
        with ThreadPoolExecutor(_REQUESTS) as threads:
            yield from threads.map(read, files)
        return
    processes = min(processes, len(files) // _WORTH_IT)
    if processes < 2:
        yield from map(read, files)
        return
    import multiprocessing
    import signal

    pool = ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),  # a fork would inherit locks that nobody opens again
        signal.signal,
        (signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for this process, which ends them
    )
    try:
        yield from pool.map(read, files, chunksize=_AT_ONCE)
    finally:
        pool.shutdown(cancel_futures=True)


def _read_frame(instrument: Instrument, header_keys: HeaderKeys, file: RawFile) -> _Frame | Exception:
    """Return what a file's headers say, or what is wrong with them."""
    try:
        headers = read_headers(file)
        observations = instrument.translate(headers, _named(file))
        if len(observations) > 1:
            raise SkyButlerError(f"{file} holds {len(observations)} images; one a file can be ingested.")
        said = ChainMap(dict(headers[observations[0].hdu]), dict(headers[0]))
        return _Frame(_named(file), observations[0], header_keys.chosen("raw", said))
    except (SkyButlerError, OSError) as error:
        return error


def _record(butler: Butler, frames: list[_Frame], report: IngestReport, on_error: str) -> list[_Frame]:
    """Make days, groups and exposures known; frames that contradict what is there go to the report, or are raised."""
    wrong: dict[int, SkyButlerError] = {}
    with butler.transaction():
        for element in ("day_obs", "group", "exposure"):
            rows: dict[Any, dict[str, Any]] = {}
            of_frames: list[tuple[int, Any]] = []
            for number, frame in enumerate(frames):
                row = getattr(frame.observation, element)
                key = row.get("id", row.get("name"))
                if number not in wrong:
                    rows.setdefault(key, row)
                    of_frames.append((number, key))
            _, problems = make_known(butler, element, rows)
            wrong |= {number: problems[key] for number, key in of_frames if key in problems}
    if wrong and on_error == "stop":
        raise next(iter(wrong.values()))
    report.failed += [(frames[number].path, f"{frames[number].path}: {error}") for number, error in wrong.items()]
    return [frame for number, frame in enumerate(frames) if number not in wrong]


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
    known: dict[int, dict[int, Region | None]] = {}
    for record in butler.query_dimension_records(
        "visit_detector_region", instrument=instrument, where="visit IN (:visits)", bind={"visits": list(rows)}
    ):
        known.setdefault(record.visit, {})[record.detector] = record.region
    visits: dict[int, dict[str, Any]] = {}
    of_detectors: dict[tuple[int, int], dict[str, Any]] = {}
    for exposure, row in rows.items():
        all_regions = {**known.get(exposure, {}), **regions.get(exposure, {})}
        same = {name: row.get(name) for name in inherited}
        visits[exposure] = same | {"name": row["obs_id"], "region": _hull(filter(None, all_regions.values()))}
        for detector, region in regions.get(exposure, {}).items():
            of_detectors[exposure, detector] = here | {"visit": exposure, "detector": detector, "region": region}
    with butler.transaction():
        butler.sync_dimension_records("visit_system", here | _VISIT_SYSTEM)
        report.visits, _ = make_known(butler, "visit", visits, update=True)
        keys = [here | {"visit": exposure} for exposure in visits]
        definitions = [key | {"exposure": key["visit"]} for key in keys]
        butler.insert_dimension_records("visit_definition", definitions, skip_existing=True)
        memberships = [key | {"visit_system": _VISIT_SYSTEM["id"]} for key in keys]
        butler.insert_dimension_records("visit_system_membership", memberships, skip_existing=True)
        make_known(butler, "visit_detector_region", of_detectors, update=True)


def _hull(regions: Iterable[Region]) -> Region | None:
    """Return the convex hull of polygons, None of none."""
    numbers = [float(n) for region in regions for n in region.ivoa.split()[1:]]
    return Region.polygon(list(zip(numbers[::2], numbers[1::2], strict=True))) if numbers else None


def _register(
    butler: Butler,
    instrument: str,
    frames: Sequence[_Frame],
    report: IngestReport,
    transfer: str,
    checksums: bool | None,
) -> None:
    """Register the files as raws, those that are there already left out."""
    dataset_type = butler.dataset_type("raw")
    files = []
    for frame in frames:
        data_id = {"instrument": instrument, "exposure": frame.key[0], "detector": frame.key[1]}
        ref = DatasetRef(dataset_type, data_id, report.run, dataset_uuid("raw", data_id, report.run))
        files.append(FileDataset(frame.path, [ref], header=frame.header))
    known = butler.registry.datasets.existing(ref for file in files for ref in file.refs)
    report.known += [file.path for file in files if file.refs[0].id in known]
    new = [file for file in files if file.refs[0].id not in known]
    report.ingested += butler.ingest(new, transfer, checksums=checksums)


def _add_to_defaults(butler: Butler, runs: Sequence[str]) -> None:
    children = butler.collections.info(DEFAULT_COLLECTION).children
    if new := [run for run in runs if run not in children]:
        butler.collections.prepend_chain(DEFAULT_COLLECTION, new)
