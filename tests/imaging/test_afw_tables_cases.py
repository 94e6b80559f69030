"""What afw's own tests ask of catalogs and schemas, case by case: a question, and the answer in numbers."""

import math

import numpy as np
import pytest

from skybutler.imaging import (
    Point2D,
    Quadrupole,
    Schema,
    SourceCatalog,
    Wcs,
)


def near(value, **tolerances):
    return pytest.approx(value, nan_ok=True, **tolerances)


def done(thing, *changes):
    """Change a thing in place, by what an operator's method does, and return it."""
    for change in changes:
        made = change(thing)
        thing = thing if made is None else made
    return thing


TAN = Wcs.make_tan((4, 4), (30.0, 40.0), [[-1e-4, 0], [0, 1e-4]])


def a_catalog():
    schema = SourceCatalog.minimal_schema()
    doubles = ("a_instFlux", "a_instFluxErr", "b_x", "b_y", "c_xx", "c_yy", "c_xy")
    floats = ("c_xxErr", "c_yyErr", "c_xyErr", "c_xx_yy_Cov", "c_xx_xy_Cov", "c_yy_xy_Cov")
    for name, kind in [*((name, "D") for name in doubles), *((name, "F") for name in floats), ("a_flag", "Flag")]:
        schema.add_field(name, kind)
    for slot, prefix in (("PsfFlux", "a"), ("Centroid", "b"), ("Shape", "c")):
        schema.define_slot(slot, prefix)
    made = SourceCatalog(schema)
    for number in (50, 2, 7):
        same = {"b_y": -1, "c_xx": 4, "c_yy": 5, "c_xy": 1, "c_xxErr": 2, "c_yyErr": 3, "c_xyErr": 4}
        made.add_new().assign({"id": number, "a_instFlux": 10.0 * number, "b_x": number, "a_flag": number == 2, **same})
    return made


def aliased(aliases, name):
    schema = Schema()
    schema.add_field("a11", "I")
    schema.add_field("a12", "F")
    schema.add_field("b_c_d", "I")
    schema.aliases.update(aliases)
    return schema.find(name).name


TABLES = {
    "integers begin as 0": (lambda: SourceCatalog(SourceCatalog.minimal_schema()).add_new()["parent"], 0),
    "angles begin as NaN": (lambda: math.isnan(SourceCatalog().addNew()["coord_ra"]), True),
    "four columns at least": (lambda: SourceCatalog.minimalSchema().names, ["id", "coord_ra", "coord_dec", "parent"]),
    "slots are aliases": (lambda: a_catalog()[0].getPsfInstFlux(), 500),
    "flags of slots": (lambda: [record.getPsfFluxFlag() for record in a_catalog()], [False, True, False]),
    "positions of slots": (lambda: a_catalog()[1].getCentroid(), Point2D(2, -1)),
    "x of slots": (lambda: a_catalog().getX().tolist(), [50, 2, 7]),
    "shapes of slots": (lambda: a_catalog()[0].getShape(), Quadrupole(4, 5, 1)),
    "errors of shapes": (lambda: np.diag(a_catalog()[0].getShapeErr()).tolist(), [4, 9, 16]),
    "columns by slot": (lambda: a_catalog()["slot_PsfFlux_instFlux"].tolist(), [500, 20, 70]),
    "sorted by id": (lambda: done(a_catalog(), lambda c: c.sort())["id"].tolist(), [2, 7, 50]),
    "sorted or not": (
        lambda: (a_catalog().isSorted(), done(a_catalog(), lambda c: c.sort()).isSorted()),
        (False, True),
    ),
    "found": (lambda: a_catalog().find(2)["id"], 2),
    "not found": (lambda: a_catalog().find(500), None),
    "found by another column": (lambda: a_catalog().find(70.0, "a_instFlux").getId(), 7),
    "chosen by a flag": (lambda: a_catalog()[a_catalog()["a_flag"]]["id"].tolist(), [2]),
    "slices": (lambda: a_catalog()[1:]["id"].tolist(), [2, 7]),
    "slices share": (lambda: done(a_catalog(), lambda c: c[1:2].__setitem__("id", 99))["id"].tolist(), [50, 99, 7]),
    "copies do not": (lambda: done(a_catalog(), lambda c: c.copy().__setitem__("id", 99))["id"].tolist(), [50, 2, 7]),
    "one number for all": (lambda: done(a_catalog(), lambda c: c.__setitem__("a_flag", True))["a_flag"].all(), True),
    "deleted rows": (lambda: done(a_catalog(), lambda c: c.__delitem__(1))["id"].tolist(), [50, 7]),
    "deleted slices": (lambda: done(a_catalog(), lambda c: c.__delitem__(slice(0, 2)))["id"].tolist(), [7]),
    "extended": (lambda: len(done(a_catalog(), lambda c: c.extend(a_catalog()))), 6),
    "extended by records": (
        lambda: done(a_catalog(), lambda c: c.extend(list(a_catalog())))["id"].tolist(),
        [50, 2, 7] * 2,
    ),
    "children": (lambda: len(a_catalog().getChildren(0)), 3),
    "sky of pixels": (
        lambda: (
            done(a_catalog(), lambda c: c.updateCoord(TAN))[2].getCoord().separation(TAN.pixel_to_sky(7, -1)).arcsec
        ),
        near(0, abs=1e-9),
    ),
    "aliases of beginnings": (lambda: aliased({"q": "a"}, "q11"), "a11"),
    "the longest alias counts": (lambda: aliased({"q": "b", "q1": "a1"}, "q12"), "a12"),
    "aliases of aliases": (lambda: aliased({"r": "s", "s": "b_c"}, "r_d"), "b_c_d"),
    "names have precedence only if no alias begins them": (lambda: aliased({"a11": "a12"}, "a11"), "a12"),
    "sizes of arrays": (lambda: Schema().add_field("a", "ArrayF", size=5).size, 5),
    "docs and units": (
        lambda: (
            Schema().addField("a", type="D", doc="why", units="nJy").getDoc(),
            Schema().addField("a", type="D", units="nJy").getUnits(),
        ),
        ("why", "nJy"),
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_cases(case):
    question, answer = TABLES[case]
    assert question() == answer


REFUSED = {
    "columns twice": (lambda: done(Schema(), lambda s: s.add_field("a", "D") and None).add_field("a", "D"), ValueError),
    "columns that are not there": (lambda: a_catalog()["nope"], KeyError),
    "slots that are not defined": (lambda: a_catalog()[0].getApInstFlux(), LookupError),
    "rows that are not there": (lambda: a_catalog()[3], IndexError),
    "deleting in steps": (lambda: a_catalog().__delitem__(slice(0, 3, 2)), IndexError),
    "aliases in a circle": (lambda: aliased({"x": "y", "y": "x"}, "x"), (ValueError, RuntimeError, RecursionError)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    question, kind = REFUSED[case]
    with pytest.raises(kind):
        question()
