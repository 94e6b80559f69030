"""LSST's camelCase names reach the PEP 8 ones, and only when nothing else answers."""

import copy
import pickle

import pydantic
import pytest

from skybutler.model.lsst_names import LsstNames, camel_case, lazy_exports, snake_case


class Thing(LsstNames):
    def __init__(self):
        self.masked_image = "pixels"
        self.wcs = None
        self.xy0 = (1, 2)
        self.do_dark = True
        self.touched = False

    @property
    def bbox(self):
        self.touched = True
        return "box"

    @property
    def is_empty(self):
        return False

    @property
    def broken(self):
        raise AttributeError("the reason")

    def get_bbox(self, origin="PARENT"):
        return f"box in {origin}"

    def set_xy0(self, x, y):
        self.xy0 = (x, y)

    def value(self, which=0):
        return which + 1

    def has_photo(self):
        return "asked"

    def dilated_by(self, n):
        return n

    @classmethod
    def made_by_hand(cls, n):
        return cls, n

    @staticmethod
    def bit_mask(name):
        return len(name)


class Settings(LsstNames, pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", validate_assignment=True)

    do_dark: bool = True
    _private: int = 3


@pytest.mark.parametrize(
    ("camel", "snake"),
    [
        ("XY0", "xy0"),
        ("X0", "x0"),
        ("BBox", "bbox"),
        ("getBBox", "get_bbox"),
        ("makeStatistics", "make_statistics"),
        ("instFluxToNanojansky", "inst_flux_to_nanojansky"),
        ("PsfInstFlux", "psf_inst_flux"),
        ("flipLR", "flip_lr"),
        ("reflectedAboutX", "reflected_about_x"),
        ("asAstropy", "as_astropy"),
        ("toBox2D", "to_box2d"),
        ("already_snake", "already_snake"),
    ],
)
def test_camel_case_becomes_snake_case(camel, snake):
    assert snake_case(camel) == snake


def test_snake_case_becomes_camel_case():
    assert camel_case("masked_image") == "maskedImage"
    assert "get" + camel_case("masked_image", capital=True) == "getMaskedImage"
    assert "get" + camel_case("bbox", capital=True) == "getBBox"


def test_get_reads_the_attribute_and_prefers_a_method_of_that_name():
    thing = Thing()
    assert thing.getMaskedImage() == "pixels"
    assert thing.getXY0() == (1, 2)
    assert thing.getBBox() == "box in PARENT"
    assert thing.getBBox("LOCAL") == "box in LOCAL"
    assert thing.getValue(4) == 5
    assert thing.maskedImage == "pixels"
    assert thing.dilatedBy(3) == 3


def test_set_assigns_or_calls():
    thing = Thing()
    thing.setMaskedImage("others")
    thing.setXY0(5, 6)
    thing.doDark = False
    assert (thing.masked_image, thing.xy0, thing.do_dark) == ("others", (5, 6), False)
    assert "doDark" not in vars(thing)


def test_is_and_has_ask():
    thing = Thing()
    assert thing.isEmpty() is False
    assert thing.isDoDark() is True
    assert thing.hasWcs() is False
    assert thing.hasMaskedImage() is True
    assert thing.hasPhoto() == "asked"


def test_unknown_names_say_what_comes_closest():
    with pytest.raises(AttributeError, match=r"'Thing' object has no attribute 'getMaskedImag'.*getMaskedImage"):
        Thing().getMaskedImag()
    with pytest.raises(AttributeError, match=r"Did you mean .masked_image."):
        _ = Thing().maskd_image
    assert not hasattr(Thing(), "getNothing")


def test_a_property_that_fails_keeps_its_own_words():
    with pytest.raises(AttributeError, match="the reason"):
        _ = Thing().broken


def test_dir_lists_both_vocabularies_and_runs_no_property():
    thing = Thing()
    names = dir(thing)
    assert {"masked_image", "maskedImage", "getMaskedImage", "setMaskedImage", "getBBox", "isEmpty"} <= set(names)
    assert not {"setBBox", "getIsEmpty"} & set(names)
    assert not thing.touched


def test_pydantic_models_keep_working():
    settings = Settings()
    settings.doDark = False
    assert settings.do_dark is False
    assert settings.doDark is False
    assert settings.getDoDark() is False
    settings._private = 7
    assert settings._private == 7
    with pytest.raises(pydantic.ValidationError):
        settings.doDark = "neither"
    with pytest.raises(pydantic.ValidationError):
        settings.doDrak = True
    with pytest.raises(AttributeError, match="Did you mean"):
        _ = settings.doDrak
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert copy.deepcopy(settings) == settings


def test_lazy_exports_load_on_demand_and_know_camel_case():
    get_name, list_names = lazy_exports("skybutler.model", {"errors": ("SkyButlerError", "closest")})
    assert get_name("closest")("nmae", ["name"]) == " Did you mean 'name'?"
    assert list_names() == ["SkyButlerError", "closest"]
    with pytest.raises(AttributeError, match=r"module 'skybutler.model' has no attribute 'closst'. Did you mean"):
        get_name("closst")


def test_a_value_of_none_is_an_answer():
    assert Thing().getWcs() is None
    thing = Thing()
    thing.photo_calib = None
    assert thing.photoCalib is None
    assert hasattr(thing, "photoCalib")


def test_methods_of_the_class_have_their_lsst_names_on_it_and_on_its_objects():
    class Special(Thing):
        @staticmethod
        def bit_mask(name):
            return -len(name)

    assert Special.madeByHand(3) == (Special, 3)
    assert Special.getBitMask("abc") == Special().bitMask("abc") == -3
    assert Special().madeByHand(4) == (Special, 4)
    assert Thing.getBitMask("abc") == Thing().bitMask("abc") == 3
    assert not hasattr(Thing, "dilatedBy")


def test_what_is_a_value_takes_no_arguments_and_says_so():
    thing = Thing()
    thing.broad = 3
    with pytest.raises(TypeError, match=r"getBroad\(\) of a Thing takes no arguments: it is the value of \.broad"):
        thing.getBroad(1)


def test_what_is_true_or_false_is_asked_with_and_without_a_call():
    assert Thing().isEmpty() is False
    assert not Thing().isEmpty
