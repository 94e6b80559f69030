"""Every storage class, with each of its components and parameters: what is put is what is got, whole and in parts."""

import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import BaseModel

from skybutler.imaging import (
    LOCAL,
    PARENT,
    Amplifier,
    ApCorrMap,
    Background,
    BackgroundControl,
    BackgroundList,
    Box2I,
    Camera,
    ChebyshevField,
    Defects,
    Detector,
    EmpiricalPsf,
    Exposure,
    Extent2I,
    Filter,
    GaussianPsf,
    Header,
    Image,
    Mask,
    MaskedImage,
    PhotoCalib,
    Point2I,
    Polygon,
    VisitInfo,
    Wcs,
    make_background,
)
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.errors import InvalidQueryError, StorageClassError
from skybutler.model.provenance import FileProvenance, InputDataset
from skybutler.model.storage_class import storage_class, storage_classes
from skybutler.storage.datastore import Datastore
from skybutler.storage.tables import from_arrow, to_arrow

XY0 = (100, 50)
BOX = Box2I(Point2I(0, 0), Extent2I(60, 40))
PART = Box2I(Point2I(110, 55), Extent2I(10, 8))
CARDS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 512.3, "CRPIX2": 511.9, "CRVAL1": 250.4,
         "CRVAL2": 36.4, "CD1_1": -1.85e-4, "CD1_2": 3e-7, "CD2_1": 2e-7, "CD2_2": 1.85e-4}  # fmt: skip
TABULAR = ("ArrowTable", "DataFrame", "PolarsFrame", "AstropyTable", "NumpyRecords", "SourceCatalog")


class Seeing(BaseModel):
    fwhm: float
    words: list[str] = []


def pixels() -> MaskedImage:
    rng = np.random.default_rng(3)
    return MaskedImage(
        Image(rng.normal(size=(40, 60)).astype(np.float32), xy0=XY0),
        Mask(rng.integers(0, 2047, (40, 60), dtype=np.int32), xy0=XY0),
        Image(rng.random((40, 60)).astype(np.float32), xy0=XY0),
    )


def background() -> Background:
    return make_background(pixels().image, BackgroundControl(3, 3))


def detector() -> Detector:
    return Detector(3, "S03", BOX, (Amplifier("A", BOX, BOX, BOX, None, 1.3, 5.7, 60000.0),))


def corrections() -> ApCorrMap:
    return ApCorrMap({"base_PsfFlux": ChebyshevField(BOX, np.array([[1.0, 0.01], [0.02, 0.003]]))})


def exposure() -> Exposure:
    return Exposure(
        pixels(), metadata=Header([("OBJECT", "M13", "target")]), wcs=Wcs.from_header(CARDS),
        psf=GaussianPsf(25, 25, 2.25), photo_calib=PhotoCalib(12.5, 0.1), background=background(),
        visit_info=VisitInfo(exposure_time=20.0), filter=Filter("sdss_g", "g"), detector=detector(),
        ap_corr=corrections(), valid_polygon=Polygon([[100, 50], [150, 50], [150, 80]]),
        summary_stats={"psf_sigma": 2.25}, id=2**40 + 5,
    )  # fmt: skip


def table() -> pa.Table:
    return pa.table({"id": np.arange(50), "psf_flux": np.arange(50) / 3, "psf_error": np.ones(50), "x": np.zeros(50)})


def provenance() -> FileProvenance:
    given = InputDataset(uuid.UUID(int=2), "raw", "Cam/raw")
    return FileProvenance("calexp", {"visit": 3}, "u/me", uuid.UUID(int=1), uuid.UUID(int=3), (given,), 1)


def figure() -> Any:
    found = pytest.importorskip("matplotlib.figure").Figure(figsize=(2, 1))
    found.subplots().plot([1, 2])
    return found


THINGS: dict[str, Callable[[], Any]] = {
    "Exposure": exposure,
    "MaskedImage": pixels,
    "Image": lambda: pixels().image,
    "Mask": lambda: pixels().mask,
    "Header": lambda: Header([("OBJECT", "M13", "target"), ("GAIN", 1.5, "")]),
    "Wcs": lambda: Wcs.from_header(CARDS),
    "Psf": lambda: EmpiricalPsf(BOX, np.ones((1, 5, 5)) / 25),
    "PhotoCalib": lambda: PhotoCalib(12.5, 0.1),
    "Background": background,
    "BackgroundList": lambda: BackgroundList([background(), background()]),
    "ApCorrMap": corrections,
    "Polygon": lambda: Polygon([[0, 0], [10, 0], [10, 10]]),
    "VisitInfo": lambda: VisitInfo(exposure_time=20.0),
    "Filter": lambda: Filter("sdss_g", "g"),
    "Detector": detector,
    "Camera": lambda: Camera("Cam", [detector()]),
    "Defects": lambda: Defects([Box2I(Point2I(3, 4), Extent2I(5, 6))], {"detector": 7}),
    **{name: lambda name=name: from_arrow(table(), name) for name in TABULAR},
    "Dict": lambda: {"a": 1, "b c": [1.5, None]},
    "List": lambda: [1, {"a": 2}],
    "Integer": lambda: 7,
    "Model": lambda: Seeing(fwhm=0.8, words=["clear"]),
    "Text": lambda: "words\nü\r\n",
    "Config": lambda: {"threshold": 5.0, "do_this": True},
    "Log": lambda: [{"level": "INFO", "message": "done"}],
    "TaskMetadata": lambda: {"quantum": {"seconds": [1.5]}},
    "Packages": lambda: {"python": "3.12", "numpy": "2"},
    "Provenance": provenance,
    "Figure": figure,
    "Drawing": figure,
}
ONLY_READ = {"Box", "Point", "Extent", "ArrowSchema"}
"""Storage classes of components, which are no files of their own."""
OF_NO_SINGLE_VALUE = {"Figure", "Drawing"}


def plain(thing: Any) -> Any:
    """Return what can be compared with ``==``."""
    if isinstance(thing, Wcs):
        return np.round(thing.pixel_to_sky(np.array([0.0, 500.0]), np.array([0.0, 700.0])).ra.deg, 11).tolist()
    if isinstance(thing, Exposure):
        return [plain(getattr(thing, name)) for name in storage_class("Exposure").components]
    if isinstance(thing, MaskedImage):
        return [plain(thing.image), plain(thing.mask), plain(thing.variance)]
    if isinstance(thing, Image | Mask):
        return [thing.array.dtype, thing.array.tolist(), thing.bbox]
    if isinstance(thing, Header):
        return [(card.keyword, card.value, card.comment) for card in thing.cards]
    if isinstance(thing, Background):
        return plain(thing.image())
    if isinstance(thing, BackgroundList):
        return [plain(one) for one in thing]
    if isinstance(thing, EmpiricalPsf | GaussianPsf):
        return plain(thing.compute_kernel_image(Point2I(5, 5)))
    if isinstance(thing, ApCorrMap):
        return {name: thing[name] for name in thing}
    return thing


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch) -> SimpleNamespace:
    """What puts and gets things of a storage class."""
    datastore = Datastore(tmp_path)
    monkeypatch.setitem(sys.modules, "seeing_models", SimpleNamespace(Seeing=Seeing))
    monkeypatch.setattr(Seeing, "__module__", "seeing_models")

    def put(name: str, thing: Any):
        ref = DatasetRef(DatasetType("thing", ["visit"], name), {"instrument": "Cam", "visit": 3}, "run")
        return datastore.write(thing, ref, storage_class(name))

    def get(stored, name: str, component: str | None = None, **parameters: Any) -> Any:
        return datastore.read(stored, storage_class(name), component, parameters)

    return SimpleNamespace(put=put, get=get)


def test_every_storage_class_is_looked_at():
    shipped = {kind.name for kind in storage_classes() if kind.origin.startswith("skybutler.")}
    assert shipped == {*THINGS, *ONLY_READ}


@pytest.mark.parametrize("name", THINGS)
def test_it_comes_back_whole(shelf, name):
    kind, thing = storage_class(name), THINGS[name]()
    kind.check(thing)
    again = shelf.get(shelf.put(name, thing), name)
    if name in OF_NO_SINGLE_VALUE:
        assert again is not None
    elif kind.tabular:
        assert to_arrow(again).to_pydict() == table().to_pydict()
        assert type(again) is type(thing)
    else:
        assert plain(again) == plain(thing)
        assert isinstance(again, kind.type)


@pytest.mark.parametrize(
    ("name", "component"), [(kind.name, part) for kind in storage_classes() if kind.name in THINGS
                            for part in kind.components],
)  # fmt: skip
def test_each_component_is_read_alone(shelf, name, component):
    kind, thing = storage_class(name), THINGS[name]()
    alone = shelf.get(shelf.put(name, thing), name, component)
    assert isinstance(alone, storage_class(kind.components[component]).type) or name == "SourceCatalog"
    if kind.tabular:
        expected = {"columns": table().column_names, "rowcount": 50, "schema": table().column_names}[component]
        assert (list(alone.names) if component == "schema" else alone) == expected
    else:
        assert plain(alone) == plain(getattr(thing, component, Header()))  # images without a header have an empty one
        assert alone is not None


@pytest.mark.parametrize("name", [kind.name for kind in storage_classes() if kind.keyed])
def test_each_key_is_read_alone(shelf, name):
    thing = THINGS[name]()
    stored = shelf.put(name, thing)
    whole = thing.model_dump() if name == "Model" else thing.to_dict() if name == "Provenance" else thing
    for key, value in whole.items() if isinstance(whole, dict) else enumerate(whole):
        assert shelf.get(stored, name, str(key)) == value
    storage_class(name).check_component("anything")
    with pytest.raises(StorageClassError, match="has no component 'nothing'"):
        shelf.get(stored, name, "nothing")


@pytest.mark.parametrize("name", [kind.name for kind in storage_classes() if "bbox" in kind.parameters])
def test_a_box_is_read_of_the_parent_or_local(shelf, name):
    thing = THINGS[name]()
    stored = shelf.put(name, thing)
    local = Box2I(Point2I(PART.min_x - XY0[0], PART.min_y - XY0[1]), PART.dimensions)
    wanted = plain(thing[PART])
    for parameters in ({"bbox": PART}, {"bbox": PART, "origin": PARENT}, {"bbox": PART, "origin": "PARENT"},
                       {"bbox": local, "origin": LOCAL}, {"bbox": local, "origin": "LOCAL"}):  # fmt: skip
        part = shelf.get(stored, name, **parameters)
        assert part.bbox == PART
        assert plain(part) == wanted
    for component in [one for one in ("image", "mask", "variance") if one in storage_class(name).components]:
        part = shelf.get(stored, name, component, bbox=local, origin=LOCAL)
        assert plain(part) == plain(getattr(thing, component)[PART])
    with pytest.raises(StorageClassError, match=r"'bobx'.*Did you mean 'bbox'"):
        shelf.get(stored, name, bobx=PART)


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize("read_as", TABULAR)
def test_columns_filters_and_rows_are_read_as_any_table(shelf, name, read_as):
    stored, whole = shelf.put(name, THINGS[name]()), table()
    for parameters, wanted in (
        ({"columns": "x"}, whole.select(["x"])),
        ({"columns": ["psf_*", "id"]}, whole.select(["psf_flux", "psf_error", "id"])),
        ({"columns": ["id"], "filters": "psf_flux > 10 and id != 40"}, None),
        ({"columns": ["id"], "filters": [("psf_flux", ">", 10), ("id", "!=", 40)]}, None),
        ({"columns": ["id"], "filters": [[("psf_flux", ">", 10), ("id", "!=", 40)]]}, None),
        ({"rows": slice(10)}, whole.slice(0, 10)),
        ({"rows": slice(-5, None)}, whole.slice(45)),
        ({"rows": slice(None, None, 20), "columns": "id"}, pa.table({"id": [0, 20, 40]})),
        ({"rows": slice(None, None, -25), "columns": "id"}, pa.table({"id": [49, 24]})),
        ({"rows": slice(3, 3), "columns": "id"}, pa.table({"id": pa.array([], pa.int64())})),
        ({"filters": "id >= 48", "rows": slice(1, 2), "columns": "id"}, pa.table({"id": [49]})),
    ):  # fmt: skip
        part = shelf.get(stored, read_as, **parameters)
        chosen = pa.table({"id": [n for n in range(31, 50) if n != 40]}) if wanted is None else wanted
        assert to_arrow(part).to_pydict() == chosen.to_pydict(), parameters
    with pytest.raises(InvalidQueryError, match=r"no column 'psf_fluxx'\. Did you mean 'psf_flux'"):
        shelf.get(stored, read_as, columns="psf_fluxx")
    with pytest.raises(StorageClassError, match=r"no read parameter 'column'.*Did you mean 'columns'"):
        shelf.get(stored, read_as, column="x")


@pytest.mark.parametrize("name", [name for name in THINGS if not storage_class(name).parameters])
def test_what_has_no_parameters_says_so(shelf, name):
    with pytest.raises(StorageClassError, match="has no read parameter 'bbox'"):
        shelf.get(shelf.put(name, THINGS[name]()), name, bbox=PART)


@pytest.mark.parametrize("name", [name for name in THINGS if not storage_class(name).components
                                  and not storage_class(name).keyed])  # fmt: skip
def test_what_has_no_components_says_so(shelf, name):
    stored = shelf.put(name, THINGS[name]())
    with pytest.raises(StorageClassError, match="has no component 'nonsense'"):
        shelf.get(stored, name, "nonsense")
