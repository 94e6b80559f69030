"""Pixels are compressed as the repository's file says, dataset type by dataset type."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skybutler import Butler, DatasetType
from skybutler.imaging import Exposure, MaskedImage
from skybutler.model.errors import ConfigError


def test_dataset_types_are_compressed_as_the_repository_says(tmp_path: Path):
    Butler.create(tmp_path / "repo")
    file = tmp_path / "repo" / "skybutler.yaml"
    file.write_text(f"{file.read_text()}compression: {{mine: gzip, '*': rice, plain: null}}\n")
    exposure = Exposure(MaskedImage(np.random.default_rng(1).normal(100, 5, (300, 280)).astype(np.float32)))
    kept = {}
    with Butler(tmp_path / "repo", run="r") as butler:
        for name in ("mine", "other", "plain"):
            butler.register_dataset_type(DatasetType(name, [], "Exposure"))
            ref = butler.put(name, exposure)
            np.testing.assert_allclose(butler.get(ref).image.array, exposure.image.array, atol=1)
            with fits.open(butler.get_uri(ref).removeprefix("file://"), disable_image_compression=True) as hdus:
                kept[name] = hdus[1].header.get("ZCMPTYPE")
    assert kept == {"mine": "GZIP_2", "other": "RICE_1", "plain": None}


def test_a_compression_that_nobody_knows_is_refused(tmp_path: Path):
    Butler.create(tmp_path / "repo")
    file = tmp_path / "repo" / "skybutler.yaml"
    file.write_text(f"{file.read_text()}compression: zip\n")
    with pytest.raises(ConfigError, match=r"'zip'.*none of gzip, rice"):
        Butler(tmp_path / "repo")
