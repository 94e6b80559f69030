"""Pixels of the sky: none that a region touches is missing, and shapes agree with the pixelizations of others."""

import random

import pytest
from lsst import sphgeom

from skybutler.model.dimensions import default_universe
from skybutler.model.errors import DataIdError
from skybutler.model.pixels import pixelization
from skybutler.model.region import Region

REGIONS = [Region.circle(0, 90, 0.3), Region.circle(359.9, 0, 3), Region.circle(45, 41.8, 0.05),
           Region.polygon([(10, -89), (130, -89.5), (250, -89)]), Region("RANGE 350 20 -5 5")]  # fmt: skip


def reference(kind: str, level: int) -> sphgeom.Pixelization:
    return (sphgeom.HtmPixelization if kind == "htm" else sphgeom.HealpixPixelization)(level)


@pytest.mark.parametrize(("kind", "level"), [("htm", 3), ("htm", 12), ("healpix", 0), ("healpix", 5), ("healpix", 17)])
def test_a_pixel_is_where_others_have_it(kind, level):
    made, others, chance = pixelization(kind, level), reference(kind, level), random.Random(level)
    for pixel in [made.first, made.end - 1, *(chance.randrange(made.first, made.end) for _ in range(50))]:
        middle = made.shape(pixel).getCentroid()
        assert others.index(middle) == pixel
        assert pixel in made.touched(Region.point(*_degrees(middle)))


@pytest.mark.parametrize("region", REGIONS, ids=str)
@pytest.mark.parametrize(("kind", "level"), [("htm", 2), ("htm", 6), ("healpix", 0), ("healpix", 3), ("healpix", 6)])
def test_an_envelope_holds_what_others_find_and_little_else(kind, level, region):
    made, others = pixelization(kind, level), reference(kind, level)
    envelope = {pixel for begin, end in made.envelope(region) for pixel in range(begin, end)}
    touched = set(made.touched(region))
    assert touched <= envelope
    assert len(envelope) <= 2 * len(touched) + 8
    exact = {
        pixel
        for begin, end in others.envelope(region.shape)
        for pixel in range(begin, end)
        if others.pixel(pixel).overlaps(region.shape) is not False
    }
    assert exact == touched if kind == "htm" else exact <= envelope


def test_pixels_beyond_their_numbers_are_refused():
    assert 11 in pixelization("healpix", 0)
    assert 12 not in pixelization("healpix", 0)
    with pytest.raises(ValueError, match="htm1 pixels are numbered 32 … 63; not 7"):
        pixelization("htm", 1).shape(7)


def test_a_universe_gives_the_pixels_of_a_dimension():
    assert default_universe().pixelization("healpix10").end == 12 << 20
    assert default_universe().common_pixelization is pixelization("htm", 7)
    with pytest.raises(DataIdError, match="visit is no sky pixelization"):
        default_universe().pixelization("visit")


def _degrees(vector: sphgeom.UnitVector3d) -> tuple[float, float]:
    place = sphgeom.LonLat(vector)
    return place.getLon().asDegrees(), place.getLat().asDegrees()
