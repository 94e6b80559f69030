"""Datasets drawn into files by a command."""

import subprocess
import sys

import pytest

ISR = ("postISRCCD", "exposure=1004", "detector=0", "-c", "u/first")


@pytest.fixture(autouse=True)
def _matplotlib():
    pytest.importorskip("matplotlib")


def size_of(path) -> tuple[int, int]:
    """Return width and height of a PNG file."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


@pytest.mark.parametrize("part", ["", ".image", ".mask", ".masked_image"])
def test_an_exposure_and_its_planes(skybutler, shared_repository, tmp_path, part):
    path = tmp_path / "a.png"
    done = skybutler("plot", shared_repository, f"postISRCCD{part}", *ISR[1:], "-o", path)
    assert (done.code, done.out, done.err) == (0, f"wrote {path}\n", "")
    width, height = size_of(path)
    assert 880 < width < 1210
    assert 800 < height < 1000


def test_the_detectors_of_a_camera(skybutler, shared_repository, tmp_path):
    path = tmp_path / "camera.png"
    done = skybutler("plot", shared_repository, "camera", "-o", path)
    assert (done.code, done.out, done.err) == (0, f"wrote {path}\n", "")
    assert min(size_of(path)) > 100


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_a_part_in_other_formats_and_colours(skybutler, shared_repository, tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    words = ("--stretch", "zscale", "--planes", "SAT,CR", "--no-grid", "--box", "100", "50", "64", "32")
    assert skybutler("plot", shared_repository, *ISR, "-o", path, *words).code == 0
    assert path.stat().st_size > 3000


def test_a_catalog_over_an_exposure_and_by_its_columns(skybutler, repository, tmp_path):
    import numpy as np

    from skybutler.butler import Butler
    from skybutler.imaging import SourceCatalog

    with Butler(repository, run="u/mine", collections=["u/first"]) as butler:
        butler.register_dataset_type("stars", ["exposure", "detector"], "SourceCatalog")
        exposure = butler.get("postISRCCD", exposure=1004, detector=0)
        sky = exposure.wcs.pixel_to_sky(np.array([10.0, 20.0]), np.array([30.0, 40.0]))
        catalog = SourceCatalog(columns={"id": [1, 2], "coord_ra": sky.ra, "coord_dec": sky.dec})
        butler.put("stars", catalog, exposure=1004, detector=0)
    searched = ("-c", "u/mine")
    path = tmp_path / "a.png"
    assert skybutler("plot", repository, *ISR, *searched, "-o", path, "--sources", "stars").code == 0
    width, height = size_of(path)
    assert 880 < width < 1210
    assert 800 < height < 1000
    stars = ("plot", repository, "stars", *ISR[1:3], *searched, "-o", tmp_path / "b.png")
    assert skybutler(*stars).code == 0
    assert skybutler(*stars, "--columns", "id", "coord_ra").code == 0
    failed = skybutler(*stars, "--columns", "id", "coord_rb")
    assert (failed.code, "Did you mean 'coord_ra'?" in failed.err) == (1, True)
    assert not (tmp_path / "c.png").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((*ISR, "-o", "a.xyz"), 2, "suffixes are"),
        ((*ISR, "-o", "nowhere/a.png"), 1, "No such file or directory: nowhere/a.png"),
        ((*ISR,), 2, "--output"),
        ((*ISR, "-o", "a.png", "--planes", "SAD"), 1, "no mask plane 'SAD'"),
        (("postISRCCD", "exposure=1004^1005", "detector=0", "-o", "a.png"), 2, "2 data IDs; name one."),
        (("postISRCCD.wcs", *ISR[1:], "-o", "a.png"), 1, "Wcs objects cannot be drawn"),
        (("postISRCD", *ISR[1:], "-o", "a.png"), 1, "Did you mean 'postISRCCD'?"),
        ((*ISR, "-o", "a.png", "--sources", "src"), 1, "src"),
        ((*ISR, "-o", "a.png", "--box", "0", "0", "9999", "5"), 1, "9999"),
    ],
)
def test_what_cannot_be_drawn(skybutler, shared_repository, tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    done = skybutler("plot", shared_repository, *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_names_the_extra(shared_repository):
    code = f"""
import sys
sys.modules["matplotlib"] = None
from skybutler.cli.main import main
main(["plot", {str(shared_repository)!r}, "raw", "-o", "a.png"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: Plots need matplotlib: pip install 'skybutler[plots]'.\n")


def test_show_describes_what_a_dataset_holds(skybutler, shared_repository):
    shown = skybutler("show", shared_repository, *ISR).out
    assert "\n  box        " in shown
    assert "\n  mask  no plane is set" in shown
    assert "no plane" not in skybutler("show", shared_repository, *ISR, "--format", "json").out
