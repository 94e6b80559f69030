"""Masked images: three planes as one, and arithmetic that carries all of them."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skybutler.imaging import (
    LOCAL,
    Box2I,
    ChebyshevField,
    Extent2I,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    Point2I,
    PolynomialFunction2D,
    blocks,
    compiled,
    kernels,
)

BOX = Box2I(Point2I(0, 0), Extent2I(20, 15))


def filled(value=100.0, bits="EDGE", variance=10.0, box=BOX, **options):
    return MaskedImage.full(box, (value, bits, variance), **options)


def test_a_pixel_is_a_tuple_of_three():
    mi = filled()
    assert mi[4, 10] == (100.0, 16, 10.0)
    mi[4, 10] = (10, 0x2, 100)
    assert mi[4, 10] == (10, 2, 100)
    assert mi[4, 10, LOCAL] == (10, 2, 100)
    mi[5, 10] = 3
    assert mi[5, 10] == (3, 16, 10)


def test_absent_planes_are_zeros():
    mi = MaskedImage(Image(np.ones((2, 3), "float32"), xy0=(5, 6)))
    image, mask, variance = mi.getArrays()
    assert (mask.dtype, variance.dtype) == (np.int32, np.float32)
    assert not mask.any()
    assert not variance.any()
    assert mi.mask.xy0 == mi.variance.xy0 == (5, 6)
    assert image is mi.getImage().getArray()


def test_planes_must_cover_the_same_pixels():
    with pytest.raises(ValueError, match="mask covers"):
        MaskedImage(Image.full((3, 2)), Mask.full((2, 3)))
    mi = filled()
    with pytest.raises(ValueError, match="variance covers"):
        mi.variance = Image.full((3, 2))


def test_planes_are_of_their_kind():
    mi = filled()
    for name, plane in (("mask", Image.full(BOX)), ("image", Mask.full(BOX)), ("variance", np.zeros((15, 20)))):
        with pytest.raises(TypeError, match=rf"{name} takes (Mask|Image), not"):
            setattr(mi, name, plane)


def test_assignment_to_a_box():
    mi = filled()
    mi[2:4, 3:5] = 5.0  # the image alone
    assert mi[2, 3] == (5, 16, 10)
    mi[2:4, 3:5] = (1.0, ["SAT"], 2.0)
    assert mi[3, 4] == (1, 2, 2)
    mi[2:4, 3:5] = filled(7.0, "CR", 8.0, Box2I(Point2I(9, 9), Extent2I(2, 2)))
    assert mi[3, 4] == (7, 8, 8)
    mi.image[-3:, -2:, LOCAL] = 100
    mi[0, 0] = mi[3, 4]
    assert mi[0, 0] == (7, 8, 8)
    before = [array.copy() for array in mi.arrays]
    with pytest.raises(ValueError, match="no mask plane"):
        mi[2:4, 3:5] = (1, "NOTHING", 2)
    with pytest.raises(ValueError, match="do not fit"):
        mi[2:4, 3:5] = filled()
    with pytest.raises(ValueError, match="value, mask, variance"):
        mi[2:4, 3:5] = (1, 2)
    with pytest.raises(TypeError, match="float64 pixels would lose"):
        mi[2:4, 3:5] = (1, np.ones((2, 2)), 2)
    assert all(np.array_equal(now, then) for now, then in zip(mi.arrays, before, strict=True))


def test_views_share_and_clones_do_not():
    mi = filled()
    view = mi[Box2I(Point2I(2, 3), Extent2I(4, 4))]
    assert view.getBBox() == Box2I(Point2I(2, 3), Extent2I(4, 4))
    view[2, 3] = (1, 2, 3)
    assert mi[2, 3] == (1, 2, 3)
    for other in (view.clone(), copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        assert other.bbox == view.bbox
        other[2, 3] = (0, 0, 0)
    assert mi[2, 3] == (1, 2, 3)
    view.xy0 = (70, 80)
    assert view.mask.xy0 == view.variance.xy0 == Point2I(70, 80)
    assert mi.xy0 == Point2I(0, 0)
    assert view.astype("float64").dtype == np.float64


def test_expressions_that_would_copy_are_refused():
    mi = filled()
    for expression in (lambda: mi + mi, lambda: mi * 2, lambda: 2 / mi, lambda: np.ones((15, 20)) - mi):
        with pytest.raises(NotImplementedError, match=r"clone\(\)"):
            expression()


def test_the_variance_of_each_operation():
    left, right = filled(6.0, "EDGE", 4.0), filled(2.0, "CR", 1.0)
    for operation, expected in {
        "__iadd__": (8, 24, 5),
        "__isub__": (4, 24, 5),
        "__imul__": (12, 24, 36 * 1 + 4 * 4),
        "__itruediv__": (3, 24, (4 + 9 * 1) / 4),
    }.items():
        mi = left.clone()
        getattr(mi, operation)(right)
        assert mi[0, 0] == expected
    for operation, expected in {
        "scaledPlus": (12, 24, 4 + 9),
        "scaledMinus": (0, 24, 4 + 9),
        "scaledMultiplies": (36, 24, 9 * 52),
        "scaledDivides": (1, 24, (4 + 9) / 4 / 9),
    }.items():
        mi = left.clone()
        getattr(mi, operation)(3, right)
        assert mi[0, 0][:2] == expected[:2]
        assert mi[0, 0][2] == pytest.approx(expected[2], rel=1e-6)
    for other in (2, 2.0, right.image, right.image.array):
        mi = left.clone()
        mi += other
        assert mi[0, 0] == (8, 16, 4)
        mi *= other
        assert mi[0, 0] == (16, 16, 16)
        mi /= other
        assert mi[0, 0] == (8, 16, 4)


def test_division_by_zero_leaves_no_data():
    mi = filled(6.0, 0, 4.0)
    divisor = Image.full(BOX, 2.0)
    divisor[3, 4] = 0
    mi /= divisor
    assert mi[3, 4] == (np.inf, 256, np.inf)
    assert mi[4, 4] == (3, 0, 1)
    nothing = filled(0.0, 0, 0.0, schema=MaskSchema.from_dict({"MINE": 0}))
    nothing /= 0
    assert np.isnan(nothing.image.array).all()
    assert nothing.mask.interpret(nothing.mask[0, 0]) == "NO_DATA"
    scaled = filled()
    scaled.scaled_divides(0, divisor)
    assert np.all(scaled.mask.array & 256)


def test_masks_are_merged_by_name():
    left = filled(1.0, "NO_DATA", 1.0)
    right = filled(1.0, "CROSSTALK", 1.0, schema=MaskSchema.from_dict({"CROSSTALK": 8}))
    left += right
    assert left.mask.interpret(left.mask[0, 0]) == "CROSSTALK,NO_DATA"


def test_everything_is_validated_before_any_plane_is_touched():
    full = MaskSchema.from_dict({f"P{bit}": bit for bit in range(31)})
    mi = filled(6.0, 1, 4.0, schema=full)
    for other, error in (
        (filled(2.0, "CR", 1.0), ValueError),
        (filled(box=Box2I(Point2I(0, 0), Extent2I(3, 3))), ValueError),
        (Image.full((3, 3)), ValueError),
        (None, TypeError),
        (1j, TypeError),
    ):
        with pytest.raises(error):
            mi += other
        assert mi[0, 0] == (6, 1, 4)
        assert mi.mask.schema == full
    with pytest.raises(ValueError, match="no room for mask plane NO_DATA"):
        mi /= 0
    assert mi[0, 0] == (6, 1, 4)
    raw = filled(dtype="uint16")
    with pytest.raises(TypeError, match="astype"):
        raw -= filled()
    assert raw[0, 0] == (100, 16, 10)


def test_dividing_by_ones_own_image_uses_the_old_pixels():
    mi = filled(2.0, 0, 12.0)
    mi /= mi.image
    assert mi[0, 0] == (1, 0, 3)
    mi = filled(2.0, 0, 3.0)
    mi *= mi.image
    assert mi[0, 0] == (4, 0, 12)
    mi = filled(2.0, 0, 3.0)
    mi *= mi
    assert mi[0, 0] == (4, 0, 2 * 4 * 3)
    mi = filled(2.0, 0, 4.0)
    mi *= mi.variance
    assert mi[0, 0] == (8, 0, 64)


def test_large_and_small_pixels_keep_their_variance():
    for scale in (1e-12, 1e10):
        mi = filled(3 * scale, 0, 1.0)
        mi /= filled(scale, 0, 1.0)
        assert mi.variance[0, 0] == pytest.approx(10 / scale**2, rel=1e-5)
    wide = MaskedImage(Image.full(BOX, 1e200, dtype="float64"), None, Image.full(BOX, 1e200, dtype="float64"))
    other = wide.clone()
    other.variance[:] = 1e100
    wide /= other
    assert wide.variance[0, 0] == pytest.approx(1e-200)


def separate_copies(operation, left, right, factor):
    """Return image, variance and mask in float64, from copies of everything, as the definitions say."""
    planes = [np.array(array, np.float64) for array in (left.image.array, left.variance.array)]
    l, vl = planes  # noqa: E741
    if isinstance(right, MaskedImage):
        r, vr = np.array(right.image.array, np.float64), np.array(right.variance.array, np.float64)
        mask = left.mask.array | right.mask.array
    else:
        r, vr = np.array(right.array if isinstance(right, Image) else right, np.float64), 0.0
        mask = left.mask.array.copy()
    exact = not isinstance(right, MaskedImage)
    with np.errstate(all="ignore"):
        cr, cvr = factor * r, factor**2 * vr
        if operation == "plus":
            return l + cr, vl + cvr, mask
        if operation == "multiplies":
            return l * cr, cr * cr * vl + (0 if exact else l * l * cvr), mask
        zero = np.broadcast_to(np.where((r == 0) | (factor == 0), 256, 0), mask.shape)
        return l / cr, (vl + (0 if exact else (l / cr) ** 2 * cvr)) / cr**2, mask | zero


KINDS = ("masked", "image", "number", "itself", "own image", "own variance", "shifted", "shifted image")


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    operation=st.sampled_from(["plus", "multiplies", "divides"]),
    factor=st.sampled_from([1.0, -1.0, 2.5, 0.0]),
    kind=st.sampled_from(KINDS),
    scaled=st.booleans(),
)
def test_every_operation_gives_what_separate_copies_give(seed, operation, factor, kind, scaled):
    size = 5 * 7
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 10.0 ** rng.integers(-8, 8), (4, 5, 7)) * rng.choice(
        [0, 1, 1, 1, np.inf], (4, 5, 7), p=[0.1, 0.3, 0.3, 0.29, 0.01]
    )
    li, lv, ri, rv = values.astype("float32")
    whole = MaskedImage(li, np.arange(size, dtype="int32").reshape(5, 7), abs(lv))
    left, right = whole, MaskedImage(ri, np.full((5, 7), 64, "int32"), abs(rv))
    if kind in ("shifted", "shifted image"):
        left, right = whole[1:7, 1:5], whole[0:6, 0:4]
    operand = {
        "image": right.image, "number": float(ri[0, 0]), "itself": left, "own image": left.image,
        "own variance": left.variance, "shifted image": right.image,
    }.get(kind, right)  # fmt: skip
    image, variance, mask = separate_copies(operation, left, operand, factor)
    if factor == 1.0 and not scaled:
        getattr(left, {"plus": "__iadd__", "multiplies": "__imul__", "divides": "__itruediv__"}[operation])(operand)
    else:
        getattr(left, f"scaled_{operation}")(factor, operand)
    np.testing.assert_allclose(left.image.array, image.astype("float32"), rtol=2e-7, atol=1e-44)
    expected = variance.astype("float32")  # where it is not finite, it is inf or NaN
    finite = np.isfinite(expected)
    assert not np.isfinite(left.variance.array[~finite]).any()
    np.testing.assert_allclose(left.variance.array[finite], expected[finite], rtol=3e-7, atol=1e-44)
    assert np.array_equal(left.mask.array, mask)


@pytest.fixture(params=["numpy", "numba"])
def engine(request, monkeypatch):
    """Have arithmetic done by one engine, whatever the size of the image."""
    if request.param == "numba":
        pytest.importorskip("numba")
        monkeypatch.setattr(compiled, "_IMPORT_PIXELS", 1)
        monkeypatch.setattr(compiled, "_CALL_PIXELS", 1)
    else:
        monkeypatch.setattr(compiled, "serves", lambda _planes: False)
    return request.param


def compute_with(use_numba, operation, factor, left, right):
    with pytest.MonkeyPatch.context() as patch:
        if use_numba:
            patch.setattr(compiled, "_IMPORT_PIXELS", 1)
            patch.setattr(compiled, "_CALL_PIXELS", 1)
        else:
            patch.setattr(compiled, "serves", lambda _planes: False)
        if factor is None:
            names = {"plus": "__iadd__", "minus": "__isub__", "multiplies": "__imul__", "divides": "__itruediv__"}
            getattr(left, names[operation])(right)
        else:
            getattr(left, f"scaled_{operation}")(factor, right)
    return left


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    operation=st.sampled_from(["plus", "minus", "multiplies", "divides"]),
    factor=st.sampled_from([None, -1.0, 2.5, 1e-30, 0.0]),
    kind=st.sampled_from(["masked", "image", "number", "itself", "own image", "shifted"]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_numba_and_numpy_give_the_same_bits(seed, operation, factor, kind, dtype):
    pytest.importorskip("numba")
    rng = np.random.default_rng(seed)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-42, 3e38, 1.0])
    planes = rng.normal(0, 1, (4, 6, 7)) * 10.0 ** rng.integers(-30, 30, (4, 6, 7))
    chosen = rng.random(planes.shape) < 0.2
    planes[chosen] = rng.choice(special, np.count_nonzero(chosen))
    li, lv, ri, rv = planes.astype(dtype)
    number = float(ri[0, 0])
    results = []
    for use_numba in (False, True):
        left = MaskedImage(li.copy(), np.zeros((6, 7), "int32"), lv.copy())
        right = MaskedImage(ri, np.arange(42, dtype="int32").reshape(6, 7), rv)
        target = left
        if kind == "shifted":
            target, right = left[1:7, 1:5], left[0:6, 0:4]
        operand = {"image": right.image, "number": number, "itself": left, "own image": left.image}.get(kind, right)
        compute_with(use_numba, operation, factor, target, operand)
        results.append(left)
    for one, other in zip(results[0].arrays, results[1].arrays, strict=True):
        same = one.view(f"i{one.itemsize}") == other.view(f"i{one.itemsize}")
        assert np.all(same | (np.isnan(one) & np.isnan(other)))


def test_threads_may_compute_at_once(engine):
    images = [MaskedImage.full((300, 400), (float(n + 1), "EDGE", 1.0)) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda image: image.__imul__(image.clone()), images))
    assert [float(image.image[0, 0]) for image in images] == [1, 4, 9, 16]


def test_pixels_that_cannot_be_written_are_refused_before_any_plane_is_touched(engine):
    variance = np.ones((3, 4), "float32")
    variance.flags.writeable = False
    mi = MaskedImage(np.full((3, 4), 6, "float32"), None, variance)
    with pytest.raises(ValueError, match=r"read-only; clone\(\)"):
        mi *= 2
    assert mi.image[0, 0] == 6


@pytest.mark.parametrize("order", [">", "<"])
def test_pixels_in_any_byte_order_are_combined(engine, order):
    mi = MaskedImage(
        np.full((3, 4), 6, f"{order}f4"), Mask(np.ones((3, 4), f"{order}i4")), np.full((3, 4), 4, f"{order}f4")
    )
    mi /= MaskedImage.full((4, 3), (2.0, 4, 1.0))
    assert mi[0, 0] == (3, 5, (4 + 9) / 4)


def test_integers_of_several_widths_are_combined(engine):
    image = Image(np.full((3, 4), 6, "int32"))
    image += np.full((3, 4), 2, "int16")
    image *= np.full((3, 4), 3, "uint8")
    assert image[0, 0] == 24


def test_numba_is_imported_for_large_images_alone():
    code = (
        "import sys; from skybutler.imaging import Image\n"
        "image = Image.full((1000, 1000), 1.0); image *= image; assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_blocks_and_threads_give_the_same_answers_as_one_pass(monkeypatch):
    rng = np.random.default_rng(3)
    planes = [rng.uniform(1, 9, (130, 170)).astype("float32") for _ in range(4)]
    results = []
    for block, parallel in ((1 << 30, 1 << 30), (100, 1 << 30), (1000, 1)):
        monkeypatch.setattr(kernels, "BLOCK_PIXELS", block)
        monkeypatch.setattr(blocks, "PARALLEL_PIXELS", parallel)
        mi = MaskedImage(planes[0].copy(), None, planes[1].copy())
        mi /= MaskedImage(planes[2], None, planes[3])
        results.append(mi)
    for other in results[1:]:
        assert np.array_equal(other.image.array, results[0].image.array)
        assert np.array_equal(other.variance.array, results[0].variance.array)


def test_masks_of_other_planes_and_types_are_merged_by_either_engine(engine):
    schema = MaskSchema.from_dict({"CROSSTALK": 8, "BAD": 3})
    left = filled(1.0, "NO_DATA", 1.0)
    for dtype in ("int64", "uint16", "int32"):
        other = MaskedImage(Image.full(BOX, 2.0), Mask.full(BOX, ["BAD", "CROSSTALK"], schema=schema, dtype=dtype))
        left += other
        assert left.mask.interpret(left.mask[0, 0]) == "BAD,CROSSTALK,NO_DATA"
    nameless = MaskedImage(Image.full(BOX, 2.0), Mask.full(BOX, 1 << 9, schema=MaskSchema([])))
    before = left.clone()
    for combine in (
        lambda: left.__isub__(nameless),
        lambda: left.__setitem__(BOX, nameless),
        lambda: left.assign(nameless),
    ):
        with pytest.raises(ValueError, match="bits 9 set, which are no planes"):
            combine()
    assert all(np.array_equal(now, then) for now, then in zip(left.arrays, before.arrays, strict=True))
    nameless.mask.clear_mask_plane(9)
    left -= nameless
    assert left[0, 0][0] == 5


def test_all_three_planes_are_set_and_assigned_as_in_lsst():
    masked = filled(1.0, "BAD", 2.0)
    masked.set(3.0, "CR", 4.0)
    assert masked[0, 0] == (3.0, 8, 4.0)
    masked.set(5.0)
    assert masked[0, 0] == (5.0, 0, 0.0)
    masked.set((6.0, 0x2, 7.0))
    assert masked[0, 0] == (6.0, 2, 7.0)
    part = Box2I(Point2I(0, 0), Extent2I(1, 1))
    masked.assign(MaskedImage.full(Extent2I(1, 1), (8.0, "SAT", 9.0)), part, LOCAL)
    assert masked[0, 0, LOCAL] == (8.0, 2, 9.0)
    masked.assign(filled(1.0, 0, 1.0))
    assert masked[0, 0] == (1.0, 0, 1.0)
    with pytest.raises(IndexError):
        masked.assign(masked, part.shifted_by(Extent2I(1000, 0)))


def test_planes_are_of_their_kind_and_sizes_are_no_pixels():
    image = Image.full(Extent2I(2, 2))
    with pytest.raises(TypeError, match="the mask takes Mask, not Image"):
        MaskedImage(image, Image.full(Extent2I(2, 2), dtype="int32"))
    with pytest.raises(TypeError, match="the variance takes Image, not Mask"):
        MaskedImage(image, None, Mask.full(Extent2I(2, 2)))
    with pytest.raises(TypeError, match=r"MaskedImage.full\(Box2I"):
        MaskedImage(image.bbox)


def test_functions_of_the_position_are_taken_at_parent_pixels():
    """As afw's test adds a polynomial of order 2 with the coefficients 0, 1, 2 and so on."""
    polynomial = PolynomialFunction2D(range(6))
    image = MaskedImage(Image.full(Box2I(Point2I(10, 20), Extent2I(5, 4)), 100.0, dtype="float64"))
    image.variance.array[...] = 2.0
    image += polynomial
    assert image[12, 23] == (100 + 12 + 2 * 23 + 3 * 12**2 + 4 * 12 * 23 + 5 * 23**2, 0, 2)
    image -= polynomial
    assert np.all(image.image.array == 100)
    image *= polynomial
    value = polynomial.evaluate(14, 20)
    assert image[14, 20] == (100 * value, 0, 2 * value**2)
    image.image.scaled_divides(2.0, ChebyshevField(image.bbox, [[50.0]]))
    assert image.image[14, 20] == value
    counts = Image.full((3, 3), 1, dtype="int32")
    with pytest.raises(TypeError, match="astype"):
        counts += polynomial
    assert counts.array.sum() == 9
