"""What images, masks and exposures say of themselves beside their line: picture, numbers, planes, components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .describe import Facts, Part
from .display import thumbnail
from .statistics import MAX, MEAN, MIN, NPOINT, STDEV, make_statistics

if TYPE_CHECKING:
    from .exposure import Exposure
    from .image import Image
    from .mask import Mask
    from .masked_image import MaskedImage

__all__ = ["exposure_parts", "image_parts", "mask_parts", "masked_image_parts"]


def image_parts(image: Image) -> Iterator[Part]:
    """Yield a picture, and what the values are."""
    if (picture := thumbnail(image.array)) is not None:
        yield picture
    yield Facts({"box": _box(image), "values": _values(image)})


def mask_parts(mask: Mask) -> Iterator[Part]:
    """Yield a picture in the colours of the planes, and how many pixels have which."""
    if (picture := thumbnail(None, mask.array, mask.schema)) is not None:
        yield picture
    yield Facts({"box": _box(mask)})
    yield mask.report().table()


def masked_image_parts(masked: MaskedImage) -> Iterator[Part]:
    """Yield a picture with the mask over it, what the values are, and the planes that are set."""
    if (picture := _picture(masked)) is not None:
        yield picture
    yield Facts({"box": _box(masked), **_plane_values(masked)})
    yield _planes(masked)


def exposure_parts(exposure: Exposure) -> Iterator[Part]:
    """Yield the parts of a masked image, and the components that are there."""
    if (picture := _picture(exposure)) is not None:
        yield picture
    facts = {"box": _box(exposure), **_plane_values(exposure)}
    for name, component in exposure.components.items():
        facts[name.replace("_", " ")] = _component(name, component)
    if len(exposure.metadata):
        facts["metadata"] = repr(exposure.metadata)
    yield Facts(facts)
    yield _planes(exposure)


def _picture(masked: MaskedImage | Exposure) -> Any:
    return thumbnail(masked.image.array, masked.mask.array, masked.mask.schema)


def _planes(masked: MaskedImage | Exposure) -> Part:
    """Return the planes that any pixel has set."""
    table = masked.mask.report().table(only_set=True)
    return table if table.rows else Facts({"mask": "no plane is set"})


def _box(plane: Image | Mask | MaskedImage | Exposure) -> str:
    """Return which parent pixels are covered."""
    box = plane.bbox
    if box.is_empty:
        return "empty"
    return f"x {box.min_x} to {box.max_x}, y {box.min_y} to {box.max_y}"


def _plane_values(masked: MaskedImage | Exposure) -> dict[str, str]:
    said = {"values": _values(masked.image), "variance": _values(masked.variance)}
    if unit := getattr(masked, "metadata", {}).get("BUNIT"):
        said["unit"] = str(unit)
    return said


def _values(image: Image) -> str:
    """Return the range of the pixels, their mean and spread, and how many are no numbers."""
    total = image.array.size
    if not total:
        return "none"
    found = make_statistics(image, MIN | MAX | MEAN | STDEV | NPOINT)
    odd = total - int(found[NPOINT])
    if odd == total:
        return f"none of {total} is finite"
    scatter = f", scatter {found[STDEV]:.4g}" if total - odd > 1 else ""
    said = f", {odd} not finite" if odd else ""
    return f"{found[MIN]:.6g} to {found[MAX]:.6g}, mean {found[MEAN]:.6g}{scatter}{said}"


def _component(name: str, component: Any) -> str:
    if name == "summary_stats":
        numbers = ((key, value) for key, value in component.items() if isinstance(value, int | float))
        return ", ".join(f"{key} {value:.4g}" for key, value in numbers if value == value)
    if name == "psf":
        return f"{component!r}, FWHM {component.compute_shape().fwhm:.3g} pixels"
    if name == "visit_info":
        units = {"id": "", "object": "", "observation_type": "", "begin": "", "exposure_time": " s", "airmass": ""}
        known = component.to_dict()
        return ", ".join(
            f"{key.replace('_', ' ')} {f'{known[key]:.6g}' if isinstance(known[key], float) else known[key]}{unit}"
            for key, unit in units.items()
            if key in known
        )
    return str(component) if name == "filter" else repr(component)
