"""What objects say of themselves: at a prompt, on a terminal, in a notebook."""

import numpy as np
import pytest

import skybutler.imaging as imaging
from skybutler.imaging import (
    Amplifier,
    ApCorrMap,
    Background,
    BackgroundList,
    Box2I,
    Camera,
    ChebyshevField,
    Detector,
    Exposure,
    Extent2I,
    Filter,
    GaussianPsf,
    Header,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    Point2I,
    Schema,
    SourceCatalog,
    VisitInfo,
)
from skybutler.imaging.describe import Description, Facts, Picture, Table

BOX = Box2I(Point2I(100, 50), Extent2I(4, 3))

LEFT = '<td style="text-align:left">'


@pytest.fixture
def exposure():
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    pixels[2, 3] = np.nan
    mask = Mask(np.zeros((3, 4), np.int32), xy0=BOX.min)
    mask[101, 51] = "SAT"
    made = Exposure(
        MaskedImage(Image(pixels, BOX.min), mask), filter=Filter("sdss_r", "r"), metadata={"BUNIT": "electron"}
    )
    made.psf = GaussianPsf(21, 21, 2.0)
    made.summary_stats = {"psf_sigma": 2.0, "sky": np.nan}
    return made


def test_an_exposure_on_a_terminal(exposure):
    assert str(exposure.describe()).splitlines() == [
        "Exposure(4x3 float32 at (100, 50) sdss_r (r), psf, filter, summary_stats, 1 header cards)",
        "  box            x 100 to 103, y 50 to 52",
        "  values         0 to 10, mean 5, scatter 3.317, 1 not finite",
        "  variance       0 to 0, mean 0, scatter 0",
        "  unit           electron",
        "  psf            GaussianPsf(21, 21, sigma=2), FWHM 4.71 pixels",
        "  filter         sdss_r (r)",
        "  summary stats  psf_sigma 2",
        "  metadata       Header(1 cards)",
        "  plane  bit  pixels  percent  meaning",
        "  SAT      1       1    8.333  saturated, or a neighbour that charge spilled into",
    ]


def test_an_exposure_in_a_notebook(exposure):
    html = exposure._repr_html_()
    assert html == exposure.describe()._repr_html_()
    assert html.count('src="data:image/png;base64,') == 1
    assert "<code>Exposure(4x3 float32" in html
    assert '<span style="background:#00804d">&emsp;</span> SAT' in html
    assert f"<th>psf</th>{LEFT}GaussianPsf(21, 21, sigma=2), FWHM 4.71 pixels</td>" in html


def test_one_description_feeds_line_text_and_html(exposure):
    described = exposure.describe()
    assert repr(exposure) == described.line
    assert [type(part) for part in described.parts()] == [Picture, Facts, Table]
    assert str(described) == str(described) == repr(described)  # it can be looked at twice


def test_the_line_does_not_compute_the_rest():
    def parts():
        raise AssertionError

    assert Description("Thing", ("a", "b"), parts).line == "Thing(a, b)"


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (1, 1)])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32", "float64"])
def test_images_of_any_size_and_type_describe_themselves(shape, dtype):
    image = Image(np.zeros(shape, dtype))
    for some in (image, MaskedImage(image), Exposure(MaskedImage(image))):
        assert repr(some) in str(some.describe())
        assert some._repr_html_().startswith("<div")
    bare = str(image.describe()).splitlines()
    assert bare[-1] == ("  values  none" if 0 in shape else "  values  0 to 0, mean 0")


def test_an_image_without_a_finite_pixel_says_so():
    assert "  values  none of 6 is finite" in str(Image(np.full((2, 3), np.nan)).describe())


def test_a_mask_without_planes_set(exposure):
    exposure.mask.clear_all_mask_planes()
    assert "  mask  no plane is set" in str(exposure.describe())
    assert "NO_DATA" in str(exposure.mask.describe())


def test_what_stands_in_html_is_no_html():
    header = Header({"OBJECT": "<b>M 13</b> & others"})
    assert "&lt;b&gt;M 13&lt;/b&gt; &amp; others" in header._repr_html_()
    assert "<b>" not in header._repr_html_()


def test_a_header_shows_its_first_cards():
    header = Header([(f"K{i}", i, "a number" if i else "") for i in range(130)])
    assert repr(header) == "Header(130 cards)"
    lines = str(header.describe()).splitlines()
    assert lines[1].split() == ["keyword", "value", "comment"]
    assert lines[3].split() == ["K1", "1", "a", "number"]
    assert lines[-1] == "  … 30 more rows"
    assert len(lines) == 103
    assert header._repr_html_().count("<tr>") == 101


def test_a_schema_shows_its_columns_with_units():
    schema = Schema()
    schema.add_field("flux", "D", "of the star", "nJy")
    schema.add_field("ap", "ArrayF", "apertures", "count", size=3)
    schema.define_slot("PsfFlux", "flux")
    html = schema._repr_html_()
    assert f"<tr>{LEFT}flux</td>{LEFT}float64</td>{LEFT}nJy</td>{LEFT}of the star</td></tr>" in html
    assert f"{LEFT}float32[3]</td>" in html
    assert f"<th>slot_PsfFlux</th>{LEFT}flux</td>" in html
    assert repr(schema).splitlines() == [
        "Schema(2 columns)",
        "  column  type        unit   meaning",
        "  flux    float64     nJy    of the star",
        "  ap      float32[3]  count  apertures",
        "  slot_PsfFlux  flux",
    ]


def test_a_catalog_shows_its_first_rows_with_units(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    schema = SourceCatalog.minimal_schema()
    schema.add_field("flux", "D", "of the star", "nJy")
    schema.add_field("bad", "Flag")
    rows = 13
    columns = {"id": np.arange(rows), "flux": np.arange(rows) / 3, "coord_ra": np.zeros(rows)}
    catalog = SourceCatalog(schema, columns)
    assert repr(catalog) == "SourceCatalog(13 rows, 6 columns)"
    lines = str(catalog.describe()).splitlines()
    assert lines[1:5] == [
        "  id  coord_ra  coord_dec  parent         flux  bad",
        "           rad        rad                  nJy",
        "   0         0        nan       0            0  False",
        "   1         0        nan       0  0.333333333  False",
    ]
    assert lines[-1] == "  … 3 more rows"
    html = catalog._repr_html_()
    assert "<td>rad</td><td>rad</td><td></td><td>nJy</td>" in html
    assert html.count("<tr>") == 12
    monkeypatch.setenv("COLUMNS", "40")
    assert str(catalog.describe()).splitlines()[1::12] == [
        "  id  coord_ra  coord_dec  parent",
        "  … 3 more rows and 2 more columns",
    ]


def test_a_record_shows_its_values(monkeypatch):
    schema = SourceCatalog.minimal_schema()
    for name in ("a", "b", "c"):
        schema.add_field(name, "F", units="nJy")
    catalog = SourceCatalog(schema, {"id": [7], "a": np.float32([1.5])})
    assert repr(catalog[0]) == (
        "SourceRecord(row 0 of 1, id=7, coord_ra=nan, coord_dec=nan, parent=0, a=1.5, b=nan, … 1 more columns)"
    )
    assert "  a          1.5 nJy" in str(catalog[0].describe()).splitlines()
    assert f"<th>c</th>{LEFT}nan nJy</td>" in catalog[0]._repr_html_()


def test_cameras_and_detectors():
    amplifiers = [Amplifier(name, BOX, BOX, BOX, gain=1.5, read_noise=4.0) for name in ("A", "B")]
    detector = Detector(3, "S03", BOX, amplifiers, "SIM-3", 0.2)
    assert repr(detector) == "Detector(3, 'S03', 4x3, 2 amplifiers, 0.2 arcsec/pixel)"
    assert repr(amplifiers[0]) == "Amplifier('A', 4x3 at (100, 50), gain=1.5, read_noise=4)"
    assert str(detector.describe()).splitlines()[3].split() == ["A", "100", "50", "4", "3", "1.5", "4", "inf"]
    camera = Camera("Sim", [detector])
    assert str(camera.describe()).splitlines()[2].split() == ["3", "S03", "4", "3", "2", "0.2", "SIM-3"]
    assert f"{LEFT}S03</td>" in camera._repr_html_()
    assert f"{LEFT}1.5 electrons/ADU</td>" in amplifiers[0]._repr_html_()


def test_lines_say_what_is_known_and_no_more():
    assert repr(VisitInfo(id=5, airmass=1.2)) == "VisitInfo(id=5, airmass=1.2)"
    assert repr(VisitInfo()) == "VisitInfo()"
    assert "exposure time  30 s" in str(VisitInfo(exposure_time=30.0).describe())
    background = Background(BOX, np.ones((1, 1)), np.ones((1, 1)))
    assert repr(BackgroundList([background])) == f"BackgroundList([{background!r}])"
    field = ChebyshevField(BOX, [[1.0]])
    assert repr(ApCorrMap(dict.fromkeys("abcdefgh", field))) == "ApCorrMap(a, b, c, d, e, f, … 2 more)"
    assert repr(MaskSchema.from_dict({"BAD": 0})) == "MaskSchema.from_dict({'BAD': 0})"
    assert (
        f"{LEFT}BAD</td><td>0</td>{LEFT}the sensor is known to be bad here</td>" in MaskSchema.default()._repr_html_()
    )


def test_every_public_class_has_a_repr_of_its_own():
    classes = [value for name in imaging.__all__ if isinstance(value := getattr(imaging, name), type)]
    bare = [kind.__name__ for kind in classes if kind.__repr__ in (object.__repr__, list.__repr__, dict.__repr__)]
    assert bare == []


class TestMaskReport:
    def test_counts_each_plane(self):
        mask = Mask(np.array([[1, 3], [0, 2]], np.int32), MaskSchema.from_dict({"BAD": 0, "HOT": 1, "CR": 5}))
        report = mask.report()
        assert [(plane.name, plane.bit, plane.pixels, plane.percent) for plane in report] == [
            ("BAD", 0, 2, 50.0),
            ("HOT", 1, 2, 50.0),
            ("CR", 5, 0, 0.0),
        ]
        assert report["BAD"].doc == "the sensor is known to be bad here"
        assert (len(report), report.total) == (3, 4)
        with pytest.raises(KeyError, match=r"no plane 'BADD'.*Did you mean 'BAD'"):
            report["BADD"]

    def test_is_a_table_at_a_prompt_and_in_a_notebook(self):
        report = Mask(np.array([[1, 0, 0]], np.int32), MaskSchema.from_dict({"BAD": 0})).report()
        assert repr(report).splitlines() == [
            "MaskReport(1 planes, 3 pixels)",
            "  plane  bit  pixels  percent  meaning",
            "  BAD      0       1   33.333  the sensor is known to be bad here",
        ]
        assert "<td>33.333</td>" in report._repr_html_()

    def test_names_bits_that_no_plane_has(self):
        report = Mask(np.array([[1 << 7, 1]], np.uint8), MaskSchema.from_dict({"BAD": 0})).report()
        assert [(plane.name, plane.bit, plane.pixels) for plane in report] == [("BAD", 0, 1), ("", 7, 1)]
        assert "(none)" in repr(report)

    @pytest.mark.parametrize("dtype", ["uint8", "int16", ">i4", "int32", "int64", "uint64"])
    def test_of_any_integers_and_sizes(self, dtype):
        bits = np.random.default_rng(5).integers(0, 64, (700, 600)).astype(dtype)
        bits[0, 0] = np.iinfo(bits.dtype).min or np.iinfo(bits.dtype).max
        report = Mask(bits, MaskSchema.from_dict({f"P{bit}": bit for bit in range(6)})).report()
        for bit in range(6):
            assert report[f"P{bit}"].pixels == np.count_nonzero(bits.astype("u8") >> np.uint64(bit) & np.uint64(1))
        assert Mask(bits[:0], MaskSchema.from_dict({"A": 0})).report()["A"].percent == 0.0
