"""Masks: planes by name, whoever numbers them how."""

import copy
import pickle

import numpy as np
import pytest

from skybutler.imaging import (
    Box2I,
    Exposure,
    Extent2I,
    Mask,
    MaskedImage,
    MaskPlane,
    MaskSchema,
    Point2I,
    Wcs,
    convolve,
    warp_image,
)


def small(schema=None, value=0):
    return Mask.full(Extent2I(3, 2), value, schema=schema)


def test_the_default_planes_are_those_of_lsst():
    assert MaskSchema.default().plane_dict == {
        "BAD": 0, "SAT": 1, "INTRP": 2, "CR": 3, "EDGE": 4, "DETECTED": 5, "DETECTED_NEGATIVE": 6, "SUSPECT": 7,
        "NO_DATA": 8, "VIGNETTED": 9, "STREAK": 10,
    }  # fmt: skip
    assert all(plane.doc for plane in MaskSchema.default())
    assert small().dtype == np.int32


def test_names_become_bits_and_back():
    mask = small()
    assert mask.plane_bit_mask(["BAD", "CR"]) == mask.getPlaneBitMask(["BAD", "CR"]) == 9
    assert mask.plane_bit_mask("SAT") == 2
    assert mask.getMaskPlane("STREAK") == 10
    assert mask.interpret(0x11 | 2) == "BAD,EDGE,SAT"
    mask[1, 1] = ["SAT", "BAD"]
    assert mask[1, 1] == 3
    assert mask.as_string(1, 1) == "BAD,SAT"
    with pytest.raises(ValueError, match=r"no mask plane 'SATT'.*Did you mean 'SAT'"):
        mask.plane_bit_mask("SATT")


def test_a_mask_is_made_of_integers():
    bits = np.zeros((2, 3), "uint16")
    assert Mask(bits).array is bits
    with pytest.raises(TypeError, match="integers"):
        Mask(np.zeros((2, 3)))
    with pytest.raises(TypeError, match="integers"):
        small()[0:2, 0:2] = 1.5
    with pytest.raises(ValueError, match="no room"):
        Mask(np.zeros((2, 3), "uint8"))


def test_a_new_plane_takes_the_lowest_free_bit_and_is_known_to_views():
    mask = Mask.full(Extent2I(3, 2), schema=MaskSchema.from_dict({"A": 0, "C": 2}))
    view = mask[0:2, 0:2]
    assert view.addMaskPlane("B") == 1
    assert view.addMaskPlane("B") == 1
    assert mask.plane_dict == {"A": 0, "B": 1, "C": 2}
    clone = mask.clone()
    clone.add_mask_plane("D")
    assert "D" not in mask.schema
    assert "B" not in small().schema


def test_a_full_mask_says_how_to_widen_it():
    mask = small(MaskSchema.from_dict({f"P{bit}": bit for bit in range(31)}))
    with pytest.raises(ValueError, match="astype"):
        mask.add_mask_plane("MORE")
    assert len(mask.schema) == 31
    assert mask.astype("int64").add_mask_plane("MORE") == 31
    assert small(MaskSchema.from_dict({"FAR": 31})).dtype == np.int64


def test_planes_are_cleared_and_forgotten():
    mask = small(value=["BAD", "SAT", "CR"])
    mask.clear_mask_plane("SAT")
    mask.clearMaskPlane(3)
    assert np.all(mask.array == 1)
    for bit in (-1, 31):
        with pytest.raises(ValueError, match="int32 have 31 planes"):
            mask.clear_mask_plane(bit)
    mask.remove_and_clear_mask_plane("BAD")
    assert "BAD" not in mask.schema
    assert not mask.array.any()
    mask[:] = 2
    mask.clear_all_mask_planes()
    assert not mask.array.any()


def test_bitwise_operations_with_numbers_names_and_masks():
    mask = small(value=6)
    mask |= 1
    mask &= 5
    mask ^= 4
    mask |= "CR"
    mask &= ~np.int32(64)
    unsigned = Mask(np.full((2, 3), 6, "uint16"))
    unsigned &= ~2
    assert unsigned[0, 0] == 4
    assert mask.plane_bit_mask(np.int64(5)) == 5
    other = small(value=16)
    mask |= other
    assert np.all(mask.array == 1 | 8 | 16)
    with pytest.raises(ValueError, match="do not match"):
        mask |= Mask.full(Extent2I(2, 3))
    for expression in (lambda: mask | other, lambda: mask & 1, lambda: 1 ^ mask):
        with pytest.raises(NotImplementedError, match="in place"):
            expression()


def test_planes_of_two_masks_are_matched_by_name():
    # the sample HSC-0908120-056-small.fits has CROSSTALK at bit 8, where the default has NO_DATA
    hsc = MaskSchema.from_dict({"BAD": 0, "SAT": 1, "CROSSTALK": 8, "NO_DATA": 11, "CR": 2})
    theirs = small(hsc, ["CROSSTALK", "CR"])
    ours = small(value="SAT")
    ours |= theirs
    assert ours.interpret(ours[0, 0]) == "CR,CROSSTALK,SAT"
    assert ours.plane_dict["NO_DATA"] == 8
    ours[:] = theirs
    assert ours.interpret(ours[2, 1]) == "CR,CROSSTALK"
    ours &= small(hsc, ["CROSSTALK", "BAD"])
    assert ours.interpret(ours[2, 1]) == "CROSSTALK"
    assert theirs[0, 0] == 256 | 4
    conformed = theirs.conformed_to(MaskSchema.default())
    assert conformed.interpret(conformed[0, 0]) == "CR,CROSSTALK"
    assert conformed[0, 0] & 256 == 0


def test_the_sign_bit_is_a_plane_like_any_other():
    wide = MaskSchema.from_dict({"TOP": 31, "BAD": 0})
    mask = Mask(np.full((1, 2), 2**31 + 1, "uint32"), wide)
    ours = Mask.full(Extent2I(2, 1))
    ours |= mask
    assert ours.interpret(ours[0, 0]) == "BAD,TOP"
    top = Mask.full(Extent2I(2, 1), "TOP", schema=MaskSchema.from_dict({"TOP": 63}))
    assert top[0, 0] == 2**63
    low = Mask.full(Extent2I(2, 1), schema=MaskSchema.from_dict({"TOP": 3}))
    low |= top
    assert low[0, 0] == 8
    top[:] = 0
    top |= low
    assert top[0, 0] == 2**63
    small_pixels = Mask(np.full((1, 2), 128, "uint8"), MaskSchema.from_dict({"A": 7}))
    wide_pixels = Mask.full(Extent2I(2, 1), schema=MaskSchema.from_dict({"A": 40}))
    wide_pixels |= small_pixels
    assert wide_pixels[0, 0] == 2**40


def test_schemas_are_values():
    with pytest.raises(ValueError, match="both have bit 1"):
        MaskSchema([MaskPlane("A", 1), MaskPlane("B", 1)])
    with pytest.raises(ValueError, match="twice"):
        MaskSchema([MaskPlane("A", 1), MaskPlane("A", 2)])
    with pytest.raises(ValueError, match="0 to 63"):
        MaskSchema.from_dict({"A": 64})
    schema = MaskSchema.from_dict({"B": 1, "A": 0}, docs={"A": "first"})
    assert schema == MaskSchema.from_dict({"A": 0, "B": 1})
    assert hash(schema) == hash(MaskSchema.from_dict({"A": 0, "B": 1}))
    assert eval(repr(schema)) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert schema["A"].doc == "first"


def test_masks_are_copied_with_their_schema():
    mask = small(MaskSchema.from_dict({"A": 0}), 1)
    for other in (copy.deepcopy(mask), pickle.loads(pickle.dumps(mask)), mask.clone()):
        assert other.schema == mask.schema
        assert np.array_equal(other.array, mask.array)


def test_the_class_answers_for_the_default_schema_and_a_mask_for_its_own():
    assert Mask.plane_bit_mask(["BAD", "CR"]) == Mask.getPlaneBitMask(["BAD", "CR"]) == 9
    assert Mask.getMaskPlane("SAT") == 1
    assert Mask.interpret(9) == "BAD,CR"
    own = Mask.full((2, 2), schema=MaskSchema.from_dict({"BAD": 4}))
    assert own.getPlaneBitMask("BAD") == 16
    assert own.interpret(16) == "BAD"


def test_a_mask_of_a_mask_is_a_view_that_means_the_same():
    mask = Mask.full(Box2I(Point2I(5, 6), Extent2I(1, 1)), "NEW", schema=MaskSchema.from_dict({"NEW": 0}))
    again = Mask(mask)
    assert (again.interpret(1), again.xy0) == ("NEW", Point2I(5, 6))
    assert again.array is mask.array
    again.add_mask_plane("NEWER")
    assert mask.plane_dict == {"NEW": 0, "NEWER": 1}
    assert Mask(mask, mask.schema).schema == mask.schema
    with pytest.raises(ValueError, match="conformed_to"):
        Mask(mask, MaskSchema.default())


def test_bits_without_a_name_are_not_lost_silently():
    target, other = Mask.full((1, 1), "SAT"), Mask.full((1, 1), 1 << 20 | 1, schema=MaskSchema.from_dict({"CR": 0}))
    for combine in (lambda: target.__ior__(other), lambda: target.__ixor__(other), lambda: target.assign(other)):
        with pytest.raises(ValueError, match=r"bits 20 set, which are no planes of its schema \{'CR': 0\}"):
            combine()
    assert (int(target[0, 0]), target.schema) == (2, MaskSchema.default())
    target &= other  # takes no bit from there
    assert int(target[0, 0]) == 0
    other.clear_mask_plane(20)
    target |= other
    assert target.interpret(target[0, 0]) == "CR"
    same = Mask.full((1, 1), 1 << 20)
    target |= same  # of the same schema bits mean the same, named or not
    assert int(target[0, 0]) == 1 << 20 | 8


def test_planes_are_set_along_rows_renumbered_and_forgotten_as_in_lsst():
    mask = Mask.full(Box2I(Point2I(10, 20), Extent2I(5, 3)))
    mask.setMaskPlaneValues(mask.getMaskPlane("CR"), 11, 13, 21)
    mask.set_mask_plane_values("BAD", 14, 14, 20)
    assert mask.array.tolist() == [[0, 0, 0, 0, 1], [0, 8, 8, 8, 0], [0, 0, 0, 0, 0]]
    mask.set_mask_plane_values("BAD", 13, 12, 20)
    assert mask.array[0].tolist() == [0, 0, 0, 0, 1]
    with pytest.raises(IndexError):
        mask.set_mask_plane_values("BAD", 9, 11, 20)
    mask.conformMaskPlanes({"CR": 0, "OWN": 3})
    assert mask.plane_dict["OWN"] == 11
    assert mask.array.tolist() == [[0, 0, 0, 0, 8], [0, 2048, 2048, 2048, 0], [0, 0, 0, 0, 0]]
    mask.removeMaskPlane("OWN")
    assert "OWN" not in mask.schema
    assert int(mask[11, 21]) == 2048
    mask.removeAndClearMaskPlane("CR", True)
    assert "CR" not in mask.schema
    assert int(mask[14, 20]) == 0
    mask.set("SAT")
    assert mask.array.tolist() == [[2] * 5] * 3


def test_bits_are_selected_whatever_the_type_of_the_pixels():
    for dtype in ("uint16", "int32", "int64", "uint64"):
        mask = Mask.full((1, 1), 7, dtype=dtype)
        assert int(mask.array[0, 0] & mask.selection(~2)) == 5
        assert int(mask.array[0, 0] & mask.selection(0xFFFFFFFFFFFFFFFF)) == 7
        assert int(mask.array[0, 0] & mask.selection(1 << 70)) == 0
        mask &= 0xFFFFFFFFFFFFFFFD
        assert int(mask[0, 0]) == 5


def test_where_a_plane_more_is_needed_new_masks_are_made_wider():
    full = MaskSchema.from_dict({f"A{bit}": bit for bit in range(31)})
    masked = MaskedImage.full((5, 5), (1.0, "A30", 1.0), schema=full)
    assert masked.mask.dtype == np.int32
    cutout = Exposure(masked).get_cutout(Point2I(0, 0), Extent2I(3, 3))
    assert cutout.mask.dtype == np.int64
    assert [cutout.mask.as_string(0, 0), cutout.mask[Point2I(-1, 0)]] == ["A30", 1 << 31]
    smooth = convolve(masked, np.ones((3, 3)))
    assert smooth.mask.dtype == np.int64
    assert (smooth.mask.as_string(1, 1), smooth.mask.as_string(0, 0)) == ("A30", "NO_DATA")
    wcs = Wcs.make_tan((2.0, 2.0), (45.0, 30.0), [[-1e-4, 0], [0, 1e-4]])
    warped = warp_image(masked, wcs, wcs, Box2I(Point2I(0, 0), Extent2I(6, 5)))
    assert warped.mask.dtype == np.int64
    assert (warped.mask.as_string(2, 2), warped.mask.as_string(5, 2)) == ("A30", "NO_DATA")
    with pytest.raises(ValueError, match=r"no room for mask plane A31.*masked.mask = masked.mask.astype\('int64'\)"):
        masked.mask.add_mask_plane("A31")
    masked.mask = masked.mask.astype("int64")
    assert masked.mask.add_mask_plane("A31") == 31
    assert masked.mask.as_string(0, 0) == "A30"
