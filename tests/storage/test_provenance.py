"""Files tell which dataset they are and what it was made of; any reader of FITS and Parquet sees it, LSST's too."""

import json
import os
import subprocess
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

import skybutler
from skybutler import DatasetProvenance, DatasetRef, DatasetType, FileFormatError, FileProvenance
from skybutler.imaging import Exposure, Image, MaskedImage
from skybutler.imaging.header import Header
from skybutler.model.provenance import MAX_INPUTS, InputDataset
from skybutler.model.storage_class import storage_class
from skybutler.storage.datastore import Datastore

ROOT = Path(__file__).parents[2]
LSST = [os.environ.get("SKYBUTLER_LSST_PYTHON", ""), ROOT / ".lsst-venv/bin/python", "/opt/lsst/venv/bin/python"]
DATA_ID = {"instrument": "Cam", "visit": 3, "detector": 1}
EXPOSURE = DatasetType("calexp", ["visit", "detector"], "Exposure")
TABLE = DatasetType("src", ["visit", "detector"], "AstropyTable")
QUANTUM = uuid.UUID("01900000-0000-7000-8000-000000000001")
LONG_RUN = "u/someone/" + "very/" * 30 + "long"


def inputs(count: int, run: str = "raw") -> tuple[DatasetRef, ...]:
    kind = DatasetType("raw", ["exposure", "detector"], "Exposure")
    return tuple(
        DatasetRef(kind, {"instrument": "Cam", "exposure": n, "detector": 1}, run, uuid.UUID(int=n + 1))
        for n in range(count)
    )


def an_exposure(**cards: object) -> Exposure:
    return Exposure(MaskedImage(Image(np.ones((4, 5), "f4"))), metadata=Header([(k, v, "") for k, v in cards.items()]))


def write(folder: Path, obj: object, kind: DatasetType, made: DatasetProvenance | None = None, run: str = "run"):
    datastore, ref = Datastore(folder), DatasetRef(kind, DATA_ID, run)
    return ref, datastore.path(datastore.write(obj, ref, kind.storage_class, made))


@pytest.mark.parametrize("run", ["raw", LONG_RUN])
def test_astropy_sees_in_the_header_which_dataset_it_is_and_what_it_was_made_of(tmp_path, run):
    ref, path = write(tmp_path, an_exposure(), EXPOSURE, DatasetProvenance(inputs(2, run), QUANTUM), run)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        said = {key[12:]: value for key, value in hdus[0].header.items() if key.startswith("LSST BUTLER")}
    assert said == {
        "ID": str(ref.id), "RUN": run, "DATASETTYPE": "calexp",
        "DATAID INSTRUMENT": "Cam", "DATAID VISIT": 3, "DATAID DETECTOR": 1,
        "QUANTUM": str(QUANTUM), "N_INPUTS": 2,
        "INPUT 0 ID": str(uuid.UUID(int=1)), "INPUT 0 RUN": run, "INPUT 0 DATASETTYPE": "raw",
        "INPUT 1 ID": str(uuid.UUID(int=2)), "INPUT 1 RUN": run, "INPUT 1 DATASETTYPE": "raw",
    }  # fmt: skip


def test_pyarrow_sees_it_in_the_metadata(tmp_path):
    ref, path = write(tmp_path, Table({"a": [1]}), TABLE, DatasetProvenance(inputs(1), QUANTUM))
    assert json.loads(pq.read_schema(path).metadata[b"skybutler"]) == {
        "dataset_type": "src", "data_id": DATA_ID, "run": "run", "id": str(ref.id), "quantum": str(QUANTUM),
        "n_inputs": 1, "inputs": [{"id": str(uuid.UUID(int=1)), "dataset_type": "raw", "run": "raw"}],
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "obj"), [(EXPOSURE, an_exposure()), (TABLE, Table({"a": [1]}))])
@pytest.mark.parametrize("made", [None, DatasetProvenance(), DatasetProvenance(inputs(12), QUANTUM)])
def test_what_a_file_tells_is_read_by_one_call(tmp_path, kind, obj, made):
    ref, path = write(tmp_path, obj, kind, made, LONG_RUN)
    said = skybutler.provenance(path)
    given = () if made is None else made.inputs
    assert said == FileProvenance(
        kind.name, DATA_ID, LONG_RUN, ref.id, None if made is None else made.quantum,
        tuple(InputDataset(one.id, "raw", "raw") for one in given), None if made is None else len(given),
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "obj"), [(EXPOSURE, an_exposure()), (TABLE, Table({"a": [1]}))])
def test_of_very_many_inputs_only_the_number_is_told_as_lsst_has_it(tmp_path, kind, obj):
    all_told = skybutler.provenance(write(tmp_path, obj, kind, DatasetProvenance(inputs(MAX_INPUTS)))[1])
    assert (len(all_told.inputs), all_told.input_count) == (MAX_INPUTS, MAX_INPUTS)
    too_many = write(tmp_path, obj, kind, DatasetProvenance(inputs(MAX_INPUTS + 1)))[1]
    told = skybutler.provenance(too_many)
    assert (told.inputs, told.input_count) == ((), MAX_INPUTS + 1)
    assert too_many.stat().st_size < 40_000


def test_one_input_that_is_read_twice_is_told_once(tmp_path):
    said = skybutler.provenance(write(tmp_path, an_exposure(), EXPOSURE, DatasetProvenance(inputs(2) * 2))[1])
    assert (len(said.inputs), said.input_count) == (2, 2)


def test_an_exposure_that_is_put_again_tells_of_itself_alone(tmp_path):
    _, path = write(tmp_path, an_exposure(OBJECT="M13"), EXPOSURE, DatasetProvenance(inputs(5), QUANTUM))
    again = skybutler.read(path)
    assert list(again.metadata) == ["OBJECT"]
    other = DatasetType("warped", ["visit", "detector"], "Exposure")
    ref, second = write(tmp_path, again, other, DatasetProvenance(inputs(1)), "other")
    header = fits.getheader(second)
    assert sum(key.startswith("LSST BUTLER INPUT") for key in header) == 3
    assert "LSST BUTLER QUANTUM" not in header
    assert skybutler.provenance(second).id == ref.id
    skybutler.write(again, tmp_path / "alone.fits")
    assert skybutler.provenance(tmp_path / "alone.fits") is None


def test_what_lsst_said_of_a_frame_goes_when_it_is_put_as_another_and_the_callers_object_keeps_it(tmp_path):
    said = {"LSST BUTLER ID": str(QUANTUM), "LSST BUTLER RUN": "HSC/runs", "LSST BUTLER INPUT 0 ID": str(QUANTUM)}
    exposure = an_exposure(OBJECT="M13", **said)
    ref, path = write(tmp_path, exposure, EXPOSURE)
    assert [card.keyword for card in exposure.metadata.cards] == ["OBJECT", *said]
    assert [card.value for card in exposure.metadata.cards] == ["M13", *said.values()]
    assert list(skybutler.read(path).metadata) == ["OBJECT"]
    told = skybutler.provenance(path)
    assert (told.id, told.run, told.inputs) == (ref.id, "run", ())


def test_what_lsst_said_of_a_table_goes_when_it_is_put_as_another_and_the_callers_object_keeps_it(tmp_path):
    said = {"LSST.BUTLER.ID": str(QUANTUM), "LSST.BUTLER.RUN": "HSC/runs", "LSST.BUTLER.N_INPUTS": 3}
    meta = {"origin": "here", **said, "shape": (1, 2)}
    table = Table({"a": [1]}, meta=dict(meta))
    ref, path = write(tmp_path, table, TABLE)
    assert table.meta == meta
    assert dict(skybutler.read(path, "AstropyTable").meta) == {"origin": "here", "shape": (1, 2)}
    assert b"LSST.BUTLER" not in b"".join(pq.read_schema(path).metadata.values())
    assert skybutler.provenance(path).id == ref.id


def test_the_metadata_of_an_arrow_table_are_the_callers_and_tell_of_no_other_dataset(tmp_path):
    _, first = write(tmp_path, Table({"a": [1]}, meta={"origin": "here"}), TABLE, DatasetProvenance(inputs(3), QUANTUM))
    table = pq.read_table(first).replace_schema_metadata(
        {**pq.read_schema(first).metadata, b"LSST.BUTLER.RUN": b"HSC/runs", b"mine": b"1"}
    )
    before = dict(table.schema.metadata)
    ref, path = write(tmp_path, table, TABLE)
    assert table.schema.metadata == before
    metadata = pq.read_schema(path).metadata
    assert metadata[b"mine"] == b"1"
    assert b"LSST.BUTLER.RUN" not in metadata
    assert json.loads(metadata[b"skybutler"]).keys() == {"metadata", "dataset_type", "data_id", "run", "id"}
    assert skybutler.provenance(path).id == ref.id


def test_a_parquet_file_of_lsst_tells_it_too(tmp_path):
    from astropy.table.meta import get_yaml_from_table

    meta = {
        "LSST.BUTLER.ID": str(QUANTUM), "LSST.BUTLER.RUN": "HSC/runs", "LSST.BUTLER.DATASETTYPE": "src",
        "LSST.BUTLER.DATAID.VISIT": 3, "LSST.BUTLER.N_INPUTS": 1,
        "LSST.BUTLER.INPUT.0.ID": str(uuid.UUID(int=5)), "LSST.BUTLER.INPUT.0.RUN": "r",
        "LSST.BUTLER.INPUT.0.DATASETTYPE": "calexp",
    }  # fmt: skip
    header = "\n".join(get_yaml_from_table(Table({"a": [1]}, meta=meta))).encode()
    table = pa.table({"a": [1]}).replace_schema_metadata({b"table_meta_yaml": header})
    pq.write_table(table, tmp_path / "src.parq")
    told = skybutler.provenance(tmp_path / "src.parq")
    assert told == FileProvenance(
        "src", {"visit": 3}, "HSC/runs", QUANTUM, None, (InputDataset(uuid.UUID(int=5), "calexp", "r"),), 1
    )


def test_lsst_reads_ours(tmp_path):
    python = next((Path(place) for place in LSST if place and Path(place).exists()), None)
    if python is None:
        pytest.skip("no Python with lsst-daf-butler: `make lsst-venv`, or set SKYBUTLER_LSST_PYTHON")
    _, path = write(tmp_path, an_exposure(), EXPOSURE, DatasetProvenance(inputs(2), QUANTUM))
    code = (
        "import json, sys; from lsst.daf.butler import DatasetProvenance as P; "
        "print(json.dumps(sorted(P._find_provenance_keys_in_flat_dict(json.load(sys.stdin)).values())))"
    )
    header = json.dumps({key: str(value) for key, value in fits.getheader(path).items()})
    done = subprocess.run([python, "-c", code], input=header, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == sorted(
        ["id", "run", "datasettype", "quantum", "n_inputs", "dataid.instrument", "dataid.visit", "dataid.detector"]
        + [f"input.{n}.{what}" for n in (0, 1) for what in ("id", "run", "datasettype")]
    )


def test_files_that_tell_nothing(tmp_path):
    fits.writeto(tmp_path / "a.fits", np.ones((2, 2)))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "empty").touch()
    assert [skybutler.provenance(path) for path in sorted(tmp_path.iterdir())] == [None] * 4
    with pytest.raises(FileNotFoundError):
        skybutler.provenance(tmp_path / "nowhere")


def test_files_that_tell_nonsense(tmp_path):
    (tmp_path / "short.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FileFormatError, match=r"short\.parquet is not a Parquet file"):
        skybutler.provenance(tmp_path / "short.parquet")
    for number, said in enumerate((b"[1]", b'{"id": 5}', b'{"id": "x", "dataset_type": 1, "data_id": 2}', b"\xff")):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({b"skybutler": said}), path)
        if said == b"[1]":
            assert skybutler.provenance(path) is None
            continue
        with pytest.raises(FileFormatError, match="does not tell properly"):
            skybutler.provenance(path)
    header = fits.Header([("HIERARCH LSST BUTLER ID", "x"), ("HIERARCH LSST BUTLER RUN", "r")])
    header["HIERARCH LSST BUTLER DATASETTYPE"] = "t"
    fits.writeto(tmp_path / "a.fits", np.ones((2, 2)), header)
    with pytest.raises(FileFormatError, match="does not tell properly"):
        skybutler.provenance(tmp_path / "a.fits")


def test_values_that_a_card_cannot_hold_are_escaped_or_left_out(tmp_path):
    datastore = Datastore(tmp_path)
    kind = DatasetType("calexp", ["instrument", "physical_filter"], "Exposure")
    ref = DatasetRef(kind, {"instrument": "Cam", "physical_filter": "r\n'ü' "}, "run ")
    path = datastore.path(datastore.write(an_exposure(), ref, storage_class("Exposure")))
    with fits.open(path) as hdus:
        hdus.verify("exception")
    assert skybutler.provenance(path).id == ref.id
