"""Fluxes and positions of blended stars, all fitted at once.

Every source is its PSF image times a flux; all sources of a frame are one sparse linear system, whose normal equations
hold each pair of overlapping stars. Positions follow from two more columns a source, the derivatives of its image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .psf_stamps import BoolArray, FloatArray, PsfSampler, StampPixels


@dataclass(slots=True)
class PsfFit:
    """Point sources fitted to an image; arrays of n, array coordinates, the image's units."""

    x: FloatArray
    """Position (pixel)."""
    y: FloatArray
    """Position (pixel)."""
    flux: FloatArray
    """Flux, NaN where no good pixel was left."""
    x_err: FloatArray
    """Error of x (pixel)."""
    y_err: FloatArray
    """Error of y (pixel)."""
    flux_err: FloatArray
    """Error of the flux, with what overlapping neighbours add to it."""
    moved: BoolArray
    """False where the fit of the position ran away and the given one was kept."""

    def select(self, keep: BoolArray) -> PsfFit:
        """Return the sources of a mask, (n,)."""
        return PsfFit(*(getattr(self, name)[keep] for name in self.__slots__))


def fit_point_sources(
    image: FloatArray,
    variance: FloatArray,
    good: BoolArray,
    sampler: PsfSampler,
    x: FloatArray,
    y: FloatArray,
    *,
    half: int,
    rounds: int = 3,
    max_shift: float = 1.0,
) -> PsfFit:
    """Fit fluxes and positions of all sources simultaneously.

    Pixels are weighted by their mask alone, not by their variance: with Poisson weights a PSF that is slightly wrong
    would bias bright and faint stars differently. The errors use the variances.

    Parameters
    ----------
    image, variance
        (height, width), background subtracted.
    good
        (height, width) pixels to be used.
    sampler
        The PSF, in array coordinates.
    x, y
        (n,) starting positions.
    half
        Half-size of the fitted squares (pixel): about two FWHM.
    rounds
        Rounds in which positions move; 0 fits fluxes only.
    max_shift
        A source that moves further than this (pixel) from its start keeps its start.
    """
    x_start, y_start = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    x, y = x_start.copy(), y_start.copy()
    moved = np.full(len(x), fill_value=rounds > 0)
    flux: FloatArray | None = None
    for _ in range(rounds):
        system = _System(image, good, sampler, x, y, half)
        flux = system.solve_fluxes(flux)
        step_x, step_y = system.position_steps(flux)
        usable = moved & np.isfinite(step_x) & np.isfinite(step_y) & (flux > 0)
        x[usable] += np.clip(step_x[usable], -0.5, 0.5)
        y[usable] += np.clip(step_y[usable], -0.5, 0.5)
        moved &= usable & (np.hypot(x - x_start, y - y_start) <= max_shift)
        x[~moved], y[~moved] = x_start[~moved], y_start[~moved]
    system = _System(image, good, sampler, x, y, half)
    flux = system.solve_fluxes(flux)
    flux_err, x_err, y_err = system.errors(variance, flux)
    return PsfFit(x, y, flux, x_err, y_err, flux_err, moved)


class _System:
    """The stamps of all sources at their present positions, and the equations that they make."""

    def __init__(
        self, image: FloatArray, good: BoolArray, sampler: PsfSampler, x: FloatArray, y: FloatArray, half: int
    ) -> None:
        from scipy.sparse import csr_matrix

        self.pixels = StampPixels.around(x, y, half, (image.shape[0], image.shape[1]))
        self.used = self.pixels.inside & good.ravel()[self.pixels.index]
        # One pixel more all around, for the slopes at the border.
        wide = sampler.images(x, y, half + 1)
        inner = wide[:, 1:-1, 1:-1]
        self.slope_x = np.where(self.used, 0.5 * (wide[:, 1:-1, :-2] - wide[:, 1:-1, 2:]), 0.0)
        self.slope_y = np.where(self.used, 0.5 * (wide[:, :-2, 1:-1] - wide[:, 2:, 1:-1]), 0.0)
        self.model = np.where(self.used, inner, 0.0)
        self.power = (self.model**2).sum(axis=(1, 2))
        # A source with hardly any of its light on good pixels says nothing about its flux.
        self.determined = self.power > 0.1 * (inner**2).sum(axis=(1, 2))
        self.image = image
        counts = self.used.sum(axis=(1, 2))
        pointer = np.concatenate([[0], np.cumsum(counts)])
        self.design = csr_matrix((self.model[self.used], self.pixels.index[self.used], pointer), (len(x), image.size))
        self.normal = self.design @ self.design.T

    def solve_fluxes(self, start: FloatArray | None) -> FloatArray:
        """Return the fluxes that fit best, all together; NaN for sources without pixels."""
        from scipy.sparse import diags
        from scipy.sparse.linalg import cg

        # Columns of unit length; the small ridge only decides between sources that lie on top of each other.
        scale = 1.0 / np.sqrt(np.where(self.power > 0, self.power, 1.0))
        scaled = diags(scale) @ self.normal @ diags(scale) + diags(np.full(len(scale), 1e-4))
        right = scale * (self.design @ self.image.ravel())
        guess = None if start is None else np.nan_to_num(start) / scale
        solution, _ = cg(scaled, right, x0=guess, rtol=1e-5, maxiter=100)
        return np.where(self.determined, solution * scale, np.nan)

    def position_steps(self, flux: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shifts along x and y that each source asks for when all others stay where they are."""
        residual = self.image.ravel() - self.design.T @ np.nan_to_num(flux)
        data = residual[self.pixels.index]
        columns = (self.model, self.slope_x, self.slope_y)
        matrix = np.empty((len(flux), 3, 3))
        right = np.empty((len(flux), 3))
        for i, left in enumerate(columns):
            right[:, i] = np.einsum("nyx,nyx->n", left, data)
            for j, other in enumerate(columns[: i + 1]):
                matrix[:, i, j] = matrix[:, j, i] = np.einsum("nyx,nyx->n", left, other)
        trace = np.trace(matrix, axis1=1, axis2=2)
        matrix += (1e-9 * np.where(trace > 0, trace, 1.0))[:, None, None] * np.eye(3)
        solution = np.linalg.solve(matrix, right[..., None])[..., 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return solution[:, 1] / flux, solution[:, 2] / flux

    def errors(self, variance: FloatArray, flux: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Errors of flux, x and y for fits that weight all pixels alike."""
        noise = variance.ravel()[self.pixels.index]
        with np.errstate(divide="ignore", invalid="ignore"):
            alone = np.sqrt((self.model**2 * noise).sum(axis=(1, 2))) / self.power
            flux_err = np.where(self.determined, alone * np.sqrt(_blend_growth(self.normal, self.power)), np.nan)
            x_err, y_err = (
                np.sqrt((slope**2 * noise).sum(axis=(1, 2))) / (slope**2).sum(axis=(1, 2)) / np.abs(flux)
                for slope in (self.slope_x, self.slope_y)
            )
        return flux_err, x_err, y_err


def _blend_growth(normal: object, diagonal: FloatArray, neighbours: int = 6) -> FloatArray:
    """By what overlapping neighbours multiply the variance of each flux.

    The diagonal of the inverse of the normal matrix, times its own diagonal, with only the few strongest overlaps of
    each source taken into account.
    """
    n = len(diagonal)
    if n == 0:
        return np.ones(0)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    coupling = normal.tocsr()  # type: ignore[attr-defined]
    rows = np.repeat(np.arange(n), np.diff(coupling.indptr))
    strength = coupling.data * scale[rows] * scale[coupling.indices]
    strength[rows == coupling.indices] = 0.0
    members = np.full((n, neighbours), -1)
    # The strongest overlaps of each row first, then the first few of each.
    order = np.lexsort((-np.abs(strength), rows))
    rank = np.arange(len(rows)) - coupling.indptr[rows[order]]
    keep = (rank < neighbours) & (np.abs(strength[order]) > 0.01)
    chosen = order[keep]
    members[rows[chosen], rank[keep]] = coupling.indices[chosen]
    group = np.concatenate([np.arange(n)[:, None], members], axis=1)
    present = group >= 0
    size = neighbours + 1
    left = np.repeat(np.where(present, group, 0), size, axis=1).ravel()
    right = np.tile(np.where(present, group, 0), (1, size)).ravel()
    pair = np.asarray(coupling[left, right]).ravel() * scale[left] * scale[right]
    block = pair.reshape(n, size, size)
    both = present[:, :, None] & present[:, None, :]
    identity = np.eye(size)
    block = np.where(both & ~identity.astype(bool), block, 0.0) + identity * 1.0001
    return np.clip(np.linalg.inv(block)[:, 0, 0], 1.0, 1e4)
