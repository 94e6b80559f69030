"""The sky of afw's exposures, kept as the text of Starlink AST, as a FITS WCS where it is one.

The text is a FrameSet: frames, and the mappings from each to the next. Where these are polynomials (shifts, matrices
and PolyMaps among them) to the tangent plane, and from there the gnomonic projection to the sky, the whole is a
TAN-SIP, whose coefficients follow exactly: composed, and expanded about the pixel that the plane touches the sky at.
Anything else is refused by name, as FITS has no words for it.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...imaging.wcs import Wcs
from ...model.errors import FileFormatError

__all__ = ["wcs_from_ast"]

_HIGHEST_ORDER = 9
"""Of SIP (A_ORDER)."""

Plane = NDArray[np.float64]
"""Coefficients of a polynomial: element [i, j] is that of u^i v^j."""


@dataclass(slots=True)
class _Node:
    """An object of the text: its class, its attributes, and the objects in it."""

    kind: str
    values: dict[str, str] = field(default_factory=dict)
    parts: dict[str, "_Node"] = field(default_factory=dict)

    def number(self, key: str, default: float | None = None) -> float:
        """Return an attribute that is a number."""
        if key not in self.values and default is None:
            raise FileFormatError(f"its {self.kind} has no {key}")
        return float(self.values.get(key, default))  # type: ignore[arg-type]  # one of the two is there

    def count(self, key: str, default: int) -> int:
        """Return an attribute that is a whole number."""
        return int(self.number(key, default))


Step = tuple[_Node, bool]
"""A mapping, and whether it is used the other way round."""


def wcs_from_ast(text: str) -> Wcs:
    """Make a WCS of what afw keeps of a SkyWcs: its version, and one FrameSet or two, of which one may be approximate.

    Parameters
    ----------
    text
        As it stands in the archive.

    Raises
    ------
    FileFormatError
        If it is no FrameSet, or none that FITS can say.
    """
    problem: FileFormatError | None = None
    for whole in _parsed(text):
        try:
            return _wcs(whole)
        except FileFormatError as error:
            problem = problem or error
    raise problem or FileFormatError("it has no FrameSet")


def _parsed(text: str) -> Iterator[_Node]:
    """Yield the FrameSets of a text."""
    stack: list[tuple[str, _Node]] = []
    key = ""
    for line in text.splitlines():
        words = re.sub(r"^\d+ SkyWcs \d+\s+", "", line).strip()
        if words.startswith("Begin "):
            stack.append((key, _Node(words.removeprefix("Begin ").strip())))
        elif words.startswith("End ") and stack:
            name, node = stack.pop()
            if stack:
                stack[-1][1].parts[name] = node
            elif node.kind == "FrameSet":
                yield node
        elif stack and "=" in words and not words.startswith("#"):
            key, _, value = (part.strip() for part in words.partition("="))
            if value:
                stack[-1][1].values[key] = value.strip('"')


def _wcs(whole: _Node) -> Wcs:
    """Return the WCS that leads from the base frame of a FrameSet to its current one."""
    sky = whole.parts.get(f"Frm{whole.count('Currnt', whole.count('Nframe', 1))}")
    if sky is None or sky.kind != "SkyFrame" or sky.values.get("System") != "ICRS":
        raise FileFormatError("its current frame is no sky of the ICRS")
    steps = [step for link in _links(whole) for step in _elementary(*link)]
    kinds = [node.kind for node, _ in steps]
    place = kinds.index("WcsMap") if "WcsMap" in kinds else len(kinds)
    if kinds[place + 1 :] != ["SphMap", "MatrixMap", "SphMap"] or steps[place][0].values.get("Type") != "TAN":
        names = ", ".join(dict.fromkeys(kinds)) or "nothing"
        raise FileFormatError(f"its mappings ({names}) do not end in a gnomonic projection, TAN")
    rotation = np.array([steps[place + 2][0].number(f"M{i}", 0.0) for i in range(9)]).reshape(3, 3)
    if steps[place + 2][1]:
        rotation = rotation.T  # its inverse
    return Wcs.from_header(_cards(steps[:place], rotation))  # type: ignore[return-value]  # CTYPE is there


def _links(whole: _Node) -> list[Step]:
    """Return the mappings from the base frame to the current one."""
    base, current = whole.count("Base", 1), whole.count("Currnt", whole.count("Nframe", 1))
    found: list[Step] = []
    while current != base:
        if f"Lnk{current}" not in whole.values or f"Map{current}" not in whole.parts or len(found) > 99:
            raise FileFormatError("its frames do not lead from the pixels to the sky, one after the other")
        found.append((whole.parts[f"Map{current}"], bool(whole.count(f"Inv{current}", 0))))
        current = whole.count(f"Lnk{current}", 0)
    return found[::-1]


def _elementary(node: _Node, inverted: bool) -> Iterator[Step]:
    """Yield the mappings that one consists of, in the order in which they are applied."""
    if node.kind == "CmpMap":
        if not node.count("Series", 1):
            raise FileFormatError("it has mappings side by side (a parallel CmpMap)")
        parts = [(node.parts[f"Map{side}"], bool(node.count(f"Inv{side}", 0)) != inverted) for side in "AB"]
        for part, turned in reversed(parts) if inverted else parts:
            yield from _elementary(part, turned)
    elif node.kind != "UnitMap":
        yield node, inverted


def _cards(steps: list[Step], rotation: NDArray[np.float64]) -> dict[str, Any]:
    """Return FITS cards for polynomials to the tangent plane, in radians, and the way from there to the sky."""
    center = np.zeros(2)
    for _ in range(50):
        u, v = _composed(steps, center)
        matrix = np.array([[u[1, 0], u[0, 1]], [v[1, 0], v[0, 1]]])
        step = np.linalg.solve(matrix, [u[0, 0], v[0, 0]])
        center = center - step
        if np.abs(step).max() < 1e-9:  # pixels
            break
    else:
        raise FileFormatError("it has no pixel where the tangent plane touches the sky")
    cards: dict[str, Any] = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "RADESYS": "ICRS"}
    cards |= {"CRPIX1": float(center[0]) + 1.0, "CRPIX2": float(center[1]) + 1.0}  # afw counts from 0
    cards |= dict(zip(("CRVAL1", "CRVAL2", "LONPOLE"), _angles(rotation), strict=True))
    degrees = np.degrees(matrix)
    cards |= {f"CD{i + 1}_{j + 1}": float(degrees[i, j]) for i in range(2) for j in range(2)}
    order = _order(u, v)
    if order > 1:
        cards |= {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": order, "B_ORDER": order}
        inverse = np.linalg.inv(matrix)
        for name, plane in zip("AB", np.tensordot(inverse, np.stack([u, v]), axes=1), strict=True):
            terms = ((i, j) for i in range(order + 1) for j in range(order + 1 - i) if i + j > 1)
            cards |= {f"{name}_{i}_{j}": float(plane[i, j]) for i, j in terms if plane[i, j]}
    return cards


def _angles(rotation: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return CRVAL1, CRVAL2 and LONPOLE, degrees, of the matrix from the projection's own directions to the sky's.

    As Calabretta & Greisen (2002), section 2.4: the pole of the projection is the last column, the pole of the sky the
    last row. Where they are one, or opposite, only the difference of both longitudes counts.
    """
    pole, north = rotation[:, 2], rotation[2, :2]
    latitude = math.degrees(math.atan2(pole[2], math.hypot(pole[0], pole[1])))
    if math.hypot(*north) > 1e-12:
        longitude, lonpole = math.atan2(pole[1], pole[0]), math.atan2(north[1], north[0])
    else:
        zero = math.atan2(rotation[1, 0], rotation[0, 0])  # right ascension of the projection's longitude 0
        longitude, lonpole = 0.0, math.pi - zero if latitude > 0 else zero
    return math.degrees(longitude) % 360.0, latitude, math.degrees(lonpole) % 360.0


def _composed(steps: list[Step], center: NDArray[np.float64]) -> tuple[Plane, Plane]:
    """Return where the steps lead from pixels, as polynomials of the distance from one."""
    x, y = np.zeros((2, 2)), np.zeros((2, 2))
    x[0, 0], x[1, 0], y[0, 0], y[0, 1] = center[0], 1.0, center[1], 1.0
    for node, inverted in steps:
        terms = _terms(node, inverted)
        if max(i + j for output in terms for i, j in output) * _order(x, y) > _HIGHEST_ORDER:
            raise FileFormatError(f"its polynomials are of a higher order than FITS has words for, {_HIGHEST_ORDER}")
        x, y = (_substituted(output, x, y) for output in terms)
    size = max(len(x), len(y))
    return _padded(x, size), _padded(y, size)


def _terms(node: _Node, inverted: bool) -> list[dict[tuple[int, int], float]]:
    """Return a mapping of two numbers as polynomials: for each of the results the coefficients by powers."""
    names = (1, 2)
    matrix: Plane
    if node.kind == "PolyMap":
        return _polynomials(node, "I" if inverted else "F")
    match node.kind:
        case "ShiftMap":
            matrix, shift = np.eye(2), np.array([node.number(f"Sft{i}", 0.0) for i in names])
        case "WinMap":
            matrix = np.diag([node.number(f"Scl{i}", 1.0) for i in names])
            shift = np.array([node.number(f"Sft{i}", 0.0) for i in names])
        case "ZoomMap":
            matrix, shift = np.eye(2) * node.number("Zoom"), np.zeros(2)
        case "MatrixMap" if node.count("Nin", 2) == node.count("Nout", node.count("Nin", 2)) == 2:
            full = node.values.get("Form", "Full") == "Full"
            given = [node.number(f"M{i}", 0.0) for i in range(4 if full else 2)]
            matrix, shift = np.reshape(given, (2, 2)) if full else np.diag(given), np.zeros(2)
        case _:
            raise FileFormatError(f"it has a {node.kind} on the way to the sky, which is no polynomial")
    if inverted:
        matrix = np.asarray(np.linalg.inv(matrix), np.float64)
        shift = -matrix @ shift
    return [{(0, 0): float(s), (1, 0): float(a), (0, 1): float(b)} for s, (a, b) in zip(shift, matrix, strict=True)]


def _polynomials(node: _Node, way: str) -> list[dict[tuple[int, int], float]]:
    """Return the coefficients of a PolyMap, of its forward (F) or of its inverse (I) transformation."""
    if node.count("Nin", 2) != 2 or f"NC{way}1" not in node.values:
        raise FileFormatError("it has a PolyMap that is not of two numbers, or not in the direction that is needed")
    outputs: list[dict[tuple[int, int], float]] = []
    place = 0
    for output in (1, 2):
        terms: dict[tuple[int, int], float] = {}
        for _ in range(node.count(f"NC{way}{output}", 0)):
            place += 1
            powers = node.count(f"P{way}{2 * place - 1}", 0), node.count(f"P{way}{2 * place}", 0)
            if min(powers) < 0 or sum(powers) > _HIGHEST_ORDER:
                raise FileFormatError(f"it has a PolyMap of powers {powers}, which FITS has no words for")
            terms[powers] = terms.get(powers, 0.0) + node.number(f"C{way}{place}", 0.0)
        outputs.append(terms or {(0, 0): 0.0})
    return outputs


def _substituted(terms: dict[tuple[int, int], float], x: Plane, y: Plane) -> Plane:
    """Return a polynomial of x and y that are themselves polynomials."""
    highest = max(max(powers) for powers in terms)
    one = np.ones((1, 1))
    powers_x, powers_y = [one], [one]
    for _ in range(highest):
        powers_x.append(_product(powers_x[-1], x))
        powers_y.append(_product(powers_y[-1], y))
    parts = [value * _product(powers_x[i], powers_y[j]) for (i, j), value in terms.items()]
    size = max(len(part) for part in parts)
    return np.asarray(sum(_padded(part, size) for part in parts))


def _product(left: Plane, right: Plane) -> Plane:
    """Return the coefficients of a product; squares that end where the highest of them does."""
    made = np.zeros((len(left) + len(right) - 1,) * 2)
    for (i, j), value in np.ndenumerate(left):
        made[i : i + len(right), j : j + len(right)] += value * right
    size = _order(made) + 1
    return made[:size, :size]


def _padded(plane: Plane, size: int) -> Plane:
    return np.pad(plane, (0, size - len(plane)))


def _order(*planes: Plane) -> int:
    """Return the highest total degree of polynomials."""
    return max((int((i + j).max(initial=0)) for i, j in map(np.nonzero, planes)), default=0)
