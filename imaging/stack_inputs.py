"""What a stack is made of, block by block: pixels, weights, variances, and the bits of their masks."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .blocks import Block
from .image import Image
from .mask import Mask
from .mask_schema import MaskSchema, renumbered
from .masked_image import MaskedImage
from .statistics import StatisticsControl

__all__ = ["Cube", "Planes", "StackInputs"]

Cube = NDArray[Any]

Planes: TypeAlias = int | str | Iterable[str]
"""Planes of a mask: bits, a name or names."""


class StackInputs:
    """The images of a stack, of which each method gives one block as an array of shape (images, pixels)."""

    def __init__(
        self,
        planes: list[Image],
        masked: list[MaskedImage],
        target: Mask,
        control: StatisticsControl,
        weights: Sequence[float] | None,
    ) -> None:
        self._planes, self._masked, self._control = planes, masked, control
        self._dtype = np.result_type(np.float32, *(plane.dtype for plane in planes))
        for image in masked:
            target.require_named(image.mask)
        self._and_masks = [image.mask.selection(control.and_mask) for image in masked]
        self._moves = [target.moves_from(image.mask) for image in masked]
        self._target, self._mask_type = target, target.dtype
        use_weights = control.weighted is not False
        self._given = None if weights is None or not use_weights else np.asarray(weights, np.float64)[:, np.newaxis]

    def pixels(self, block: Block) -> tuple[Cube, NDArray[np.bool_]]:
        """Return the pixels, NaN where not good, and which are good."""
        cube = np.stack([plane.array[block].ravel().astype(self._dtype, copy=False) for plane in self._planes])
        good = np.isfinite(cube) if self._control.nan_safe else np.ones(cube.shape, bool)
        for row, image, bits in zip(range(len(cube)), self._masked, self._and_masks, strict=False):
            if bits:
                mask = image.mask.array[block].ravel()
                good[row] &= (mask & mask.dtype.type(bits)) == 0
        if self._control.weighted and self._given is None:
            good &= np.stack([image.variance.array[block].ravel() > 0 for image in self._masked])
        np.copyto(cube, np.nan, where=~good)
        return cube, good

    def weights(self, block: Block) -> Cube | None:
        """Return the weights, or None where all are 1."""
        if self._given is not None:
            return np.broadcast_to(self._given, (len(self._planes), self._planes[0].array[block].size))
        if not self._control.weighted:
            return None
        return 1.0 / np.stack([image.variance.array[block].ravel().astype(np.float64) for image in self._masked])

    def variances(self, block: Block) -> Cube | None:
        """Return the variances, where errors are calculated from them."""
        if not (self._control.calc_error_from_input_variance or self._control.calc_error_mosaic_mode):
            return None
        return np.stack([image.variance.array[block].ravel().astype(np.float64) for image in self._masked])

    def used_bits(self, block: Block, used: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the OR of the masks of the pixels used."""
        result = np.zeros(used.shape[1], self._mask_type)
        for row, image, moves in zip(used, self._masked, self._moves, strict=True):
            bits = image.mask.array[block].ravel()
            bits = bits.astype(self._mask_type) if moves is None else renumbered(bits, moves, self._mask_type)
            result |= bits * row
        return result

    def marks(
        self, mask_map: Sequence[tuple[Planes, Planes]] | None, clipped: int, excuse: Planes
    ) -> list[tuple[list[int], int]]:
        """Return which bits of each input's pixels mark those of the result, and with what."""
        if mask_map is None:
            left_out = [
                bits & ~image.mask.schema.bit_mask(excuse)
                for image, bits in zip(self._masked, self._and_masks, strict=True)
            ]
            return [(left_out, clipped)] if clipped and any(left_out) else []
        return [
            ([image.mask.schema.bit_mask(wanted) for image in self._masked], self._target.schema.bit_mask(mark))
            for wanted, mark in mask_map
        ]

    def any_has(self, each: list[int], block: Block) -> NDArray[np.bool_]:
        """Return where any input has one of the bits that count of its own."""
        found = np.zeros(self._planes[0].array[block].size, bool)
        for image, bits in zip(self._masked, each, strict=True):
            pixels = image.mask.array[block].ravel()
            found |= (pixels & pixels.dtype.type(bits)) != 0
        return found

    def propagated_bits(self, block: Block) -> NDArray[Any]:
        """Return the planes that enough of the inputs have which are left out for their mask."""
        result = np.zeros(self._planes[0].array[block].size, self._mask_type)
        thresholds = self._control.mask_propagation_thresholds
        if not thresholds:
            return result
        rejected = np.stack(
            [
                (image.mask.array[block].ravel() & image.mask.dtype.type(bits)) != 0
                for image, bits in zip(self._masked, self._and_masks, strict=True)
            ]
        )
        weights = self.weights(block)
        share = np.ones(rejected.shape) if weights is None else weights
        share = share / share.sum(axis=0)
        for plane, threshold in thresholds.items():
            has = np.stack([self._has(image, plane, block) for image in self._masked])
            beyond = np.where(rejected & has, share, 0.0).sum(axis=0) > threshold
            result[beyond] |= self._mask_type.type(_plane_bits(self._target.schema, plane))
        return result

    @staticmethod
    def _has(image: MaskedImage, plane: str | int, block: Block) -> NDArray[np.bool_]:
        """Return which pixels of an image have a plane, of which its mask may know nothing."""
        pixels, schema = image.mask.array[block].ravel(), image.mask.schema
        known = isinstance(plane, int) or plane in schema
        return np.asarray((pixels & pixels.dtype.type(_plane_bits(schema, plane) if known else 0)) != 0)


def _plane_bits(schema: MaskSchema, plane: str | int) -> int:
    """Return the value of a pixel with one plane, given by its name or its bit."""
    return 1 << plane if isinstance(plane, int) else schema.bit_mask(plane)
