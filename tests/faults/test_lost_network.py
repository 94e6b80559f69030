"""The network to a bucket is lost at the worst moments: in an upload in parts, a removal, a transaction's end."""

import logging
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.model.errors import StoreUnavailableError
from skybutler.storage.stores import s3
from skybutler.testing.bad_network import cutting_proxy
from skybutler.testing.small_repository import fill_repository

# ruff: noqa: PT012 - the block that raises is what the transaction must undo

HERE = {"visit": 1}
LARGE = "0123456789abcdef" * (400 << 10)
"""Text of 6.25 MiB: two parts."""


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A repository to be copied: quicker than to make one for each test."""
    root = tmp_path_factory.mktemp("template") / "repo"
    with Butler.create(root) as butler:
        fill_repository(butler)
        butler.register_dataset_type("words", ["visit", "detector"], "Text")
    return root


@pytest.fixture
def far(template, bucket, tmp_path, monkeypatch):
    """A repository that reaches its bucket through a proxy which breaks connections off; large files go in parts."""
    monkeypatch.setattr(s3, "LARGE", 1 << 20)
    monkeypatch.setattr(s3, "_PART", 5 << 20)  # no less than S3 takes
    file = Path(shutil.copytree(template, tmp_path / "repo")) / "skybutler.yaml"
    with cutting_proxy(bucket.port) as proxy:
        place = {
            "root": f"s3://{bucket.name}",
            "endpoint": proxy.url,
            "region": "us-east-1",
            "timeout": 5,
            "retries": 1,
        }
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"datastore": place}))
        with Butler(tmp_path / "repo") as butler:
            yield butler, proxy


def names(butler: Butler) -> set[str]:
    return set(butler.datastore.roots[0].store.names())


def check_sound(butler: Butler, count: int) -> None:
    """All is there and whole, and nothing that fsck would have to mend is left once it has."""
    butler.verify(repair=True, everywhere=True, older_than=timedelta(0))
    found = butler.verify(checksums=True, everywhere=True, older_than=timedelta(0))
    assert found.findings == []
    assert found.datasets == len(names(butler)) == count


@pytest.mark.parametrize("way", ["up", "down"])
def test_an_upload_in_parts_that_is_cut_off_is_told_and_leaves_nothing_to_be_seen(far, way):
    butler, proxy = far
    setattr(proxy, way, 2 << 20 if way == "up" else 0)
    with pytest.raises(StoreUnavailableError, match=r"s3://\S*words_SmallCam_1_0\S* cannot be written: .*do it again"):
        butler.put("words", LARGE, HERE, detector=0)
    proxy.behave()
    assert butler.sql("SELECT count(*) FROM dataset")[1] == [(0,)]
    assert {name.rpartition("/")[2].partition("-")[0] for name in names(butler)} <= {".skybutler"}
    assert butler.get(butler.put("words", LARGE, HERE, detector=0)) == LARGE
    check_sound(butler, 1)


def test_an_upload_in_parts_goes_on_when_one_connection_breaks(far):
    butler, proxy = far
    proxy.up, proxy.cuts = 2 << 20, 1
    assert butler.get(butler.put("words", LARGE, HERE, detector=0)) == LARGE
    check_sound(butler, 1)


@pytest.mark.parametrize(("way", "cuts"), [("up", None), ("down", 1)], ids=["the request is lost", "an answer is lost"])
def test_a_removal_that_is_cut_off_is_finished_later(far, way, cuts):
    butler, proxy = far
    refs = [butler.put("words", "x", HERE, detector=d) for d in range(3)]
    proxy.cuts = cuts
    setattr(proxy, way, 0)
    assert butler.remove_datasets(refs[:2], purge=True) == 2
    proxy.behave()
    assert butler.query_datasets("words").count() == 1
    butler.trash.empty()
    assert len(names(butler)) == 1
    assert butler.get(refs[2]) == "x"
    check_sound(butler, 1)


def test_a_transaction_whose_network_goes_before_its_end_is_done_whole(far, caplog):
    butler, proxy = far
    old = butler.put("words", "old", HERE, detector=0)
    with caplog.at_level(logging.WARNING), butler.transaction():
        new = butler.put("words", "new", HERE, detector=1)
        butler.remove_datasets([old], purge=True)
        proxy.up = 0
    proxy.behave()
    assert "cannot be removed" in caplog.text
    assert butler.get(new) == "new"
    assert not butler.exists(old)
    check_sound(butler, 1)


def test_a_transaction_whose_network_goes_in_its_midst_is_undone_whole(far, caplog):
    butler, proxy = far
    old = butler.put("words", "old", HERE, detector=0)
    with caplog.at_level(logging.WARNING), pytest.raises(StoreUnavailableError), butler.transaction():
        butler.remove_datasets([old], purge=True)
        butler.put("words", "new", HERE, detector=1)
        proxy.up = 0
        butler.put("words", "newer", HERE, detector=2)
    proxy.behave()
    assert "may still lie there, though no dataset has them" in caplog.text
    assert [ref.data_id["detector"] for ref in butler.query_datasets("words")] == [0]
    assert butler.get(old) == "old"
    check_sound(butler, 1)
