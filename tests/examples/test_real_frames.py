"""The demo on real frames of M13: crowded, one of them taken through haze."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_m13_is_found_and_the_hazy_frame_stands_out(shared_data, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "examples/demo.py", "--repo", tmp_path, "--data", shared_data / "arcsat-m13"],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "30 raw frames ingested into 'ARCSAT/raw', 12 visits defined" in done.stdout
    assert int(re.search(r"(\d+) sources in 12 visits", done.stdout)[1]) >= 8000
    rows = re.findall(r"^(\d{14}) +([griz]) +(\d+) .*? ([\d.]+)(?: +<- hazy)? *$", done.stdout, re.MULTILINE)
    throughput = {int(visit): float(value) for visit, _, _, value in rows}
    assert len(throughput) == 12
    hazy = throughput.pop(20190503091040)
    assert hazy < 0.55
    assert min(throughput.values()) > hazy + 0.1
