"""The demo as a user runs it, and what others see of the repository that it leaves."""

import importlib.util
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from skybutler import Butler

ROOT = Path(__file__).parents[2]
VISIT = 1017
pytestmark = pytest.mark.xdist_group("demo")  # one worker makes the repository, once


def demo(folder, *arguments):
    command = [sys.executable, ROOT / "examples/demo.py", "--repo", folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    done = demo(folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def root(first):
    return first[0] / "simulated"


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return float(found[1])


def test_the_demo_finds_what_was_simulated(first):
    _, text = first
    assert number(r"above 10 sigma ([\d.]+) % were found", text) >= 95.0
    assert number(r"lie ([\d.]+) pixel \(rms", text) <= 0.05
    assert abs(number(r"off by ([-+][\d.]+) %", text)) <= 2.0


def test_the_demo_says_what_it_did(first):
    folder, text = first
    assert "54 raw frames ingested into 'SimCam/raw', 12 visits defined" in text
    assert "butler.query_datasets(" in text
    assert "FROM v_datasets" in text
    for name in ("calexp.png", "colour_magnitude.png"):
        picture = folder / "simulated" / name
        assert str(picture) in text.replace("\n", "")
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_second_run_does_nothing_twice(first):
    folder, _ = first
    done = demo(folder)
    assert done.returncode == 0, done.stderr
    assert "54 were there already" in done.stdout
    ran = re.findall(r"│ (\w+) +│ +(\d*) +│ +(\d*) +│", done.stdout)
    assert ran == [("bias", "", "2"), ("dark", "", "2"), ("flat", "", "6"),
                   ("isr", "", "24"), ("characterize", "", "24"), ("calibrate", "", "24")]  # fmt: skip


def test_astropy_reads_a_calexp_and_the_names_of_its_mask_planes(root):
    butler = Butler(root, writeable=False)
    path = butler.get_uri("calexp", visit=VISIT, detector=0).removeprefix("file://")
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
        assert names[1:4] == ["IMAGE", "MASK", "VARIANCE"]
        assert {"PSF", "PHOTO_CALIB", "SUMMARY_STATS"} <= {name.replace("PHOTOCALIB", "PHOTO_CALIB") for name in names}
        mask = hdus["MASK"]
        planes = {key.removeprefix("MP_"): bit for key, bit in mask.header.items() if key.startswith("MP_")}
        assert planes["SAT"] == 1
        assert planes["DETECTED"] == 5
        assert np.any(mask.data & (1 << planes["DETECTED"]))
        calexp = butler.get("calexp", visit=VISIT, detector=0)
        np.testing.assert_array_equal(hdus["IMAGE"].data, calexp.image.array)
        assert hdus["IMAGE"].header["CTYPE1"] == "RA---TAN"


def test_pandas_reads_a_catalog_and_parquet_has_its_units(root):
    butler = Butler(root, writeable=False)
    path = butler.get_uri("src", visit=VISIT, detector=0).removeprefix("file://")
    frame = pd.read_parquet(path)
    assert len(frame) == butler.get("src.rowcount", visit=VISIT, detector=0) > 200
    schema = pq.read_schema(path)
    assert schema.field("x").metadata[b"unit"] == b"pix"
    assert schema.field("coord_ra").metadata[b"unit"] == b"rad"
    assert schema.field("psf_flux").metadata[b"description"].startswith(b"PSF flux")
    provenance = json.loads(schema.metadata[b"skybutler"])
    assert provenance["dataset_type"] == "src"
    assert provenance["data_id"].items() >= {"instrument": "SimCam", "visit": VISIT, "detector": 0}.items()


def test_sqlite3_reads_the_registry_through_its_views(root):
    with sqlite3.connect(f"file:{root}/registry.sqlite3?mode=ro", uri=True) as database:
        counts = dict(database.execute("SELECT dataset_type, count(DISTINCT dataset_id) FROM v_datasets GROUP BY 1"))
        assert (counts["raw"], counts["bias"], counts["dark"], counts["flat"]) == (54, 2, 2, 6)
        assert counts["calexp"] >= 24
        row = database.execute(
            "SELECT instrument, run, path, size FROM v_calexp WHERE visit = ? AND detector = 0", (VISIT,)
        ).fetchone()
        assert row[0] == "SimCam"
        assert row[1].startswith("u/demo/first/")
        assert (root / row[2]).stat().st_size == row[3]
        outcomes = dict(database.execute("SELECT outcome, count(*) FROM v_quanta GROUP BY outcome"))
        assert outcomes == {"done": 82}
    database.close()


def test_every_call_of_the_vocabulary_tour_runs(root):
    spec = importlib.util.spec_from_file_location("seed_tour", ROOT / "examples/seed_tour.py")
    seed_tour = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seed_tour)
    seen = seed_tour.tour(str(root), VISIT, 1)
    assert seen["metadata"]["BUNIT"] == "electron"
    assert tuple(seen["size"]) == (512, 512)
    assert tuple(seen["offset"]) == (0, 0)
    assert np.all(seen["arr"][15:26, 45:50] == 15)
    assert seen["sub_im"].bbox.area == 31 * 54
    assert np.shares_memory(seen["sub_im"].image.array, seen["arrays"][0])
    assert not np.shares_memory(seen["sub_copy"].image.array, seen["arrays"][0])
    assert len(seen["coords"]) == len(seen["ids"]) == len(seen["table"]) == len(seen["src"])
    assert "copy" in seen["why not mi1 + mi2"] or "cop" in seen["why not mi1 + mi2"]
    np.testing.assert_allclose(seen["mi1"].image.array, seen["arrays"][0], rtol=1e-4, atol=1e-3)
    assert seen["config"].doDark is False
    assert seen["isr"].image.array.shape == (512, 512)


@pytest.mark.parametrize("option", ["--id", "-id"])
def test_one_task_runs_in_the_form_of_old(root, tmp_path, option):
    config = tmp_path / "config.py"
    config.write_text("config.doDark = False\n")
    rerun = f"old{option.count('-')}"
    command = [sys.executable, "-c", "from skybutler.cli.command_line_task import run_isr; run_isr()"]
    done = subprocess.run(
        [*command, root, option, f"visit={VISIT}", "--rerun", rerun, "--configfile", config],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    butler = Butler(root, collections=f"rerun/{rerun}", writeable=False)
    refs = list(butler.query_datasets("postISRCCD", where=f"visit = {VISIT}"))
    assert sorted(ref.data_id["detector"] for ref in refs) == [0, 1]
    # The second spelling asks for what the first has made: it is found there, and not made again.
    assert {ref.run.partition("/2")[0] for ref in refs} <= {"rerun/old1", "rerun/old2"}
    [config] = {butler.get("isr_config", collections=ref.run)["values"]["do_dark"] for ref in refs}
    assert config is False
