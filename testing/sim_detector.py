"""A detector with its flaws: bias structure, dark current, hot pixels, uneven response, noise, cosmic rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..instruments.description import AmplifierDescription, DetectorDescription

__all__ = ["SimDetector", "cosmic_rays", "make_detector"]

Floats = NDArray[np.float64]

_BIAS_LEVEL = 1000.0  # ADU
_LEVEL_DRIFT = 8.0  # ADU from frame to frame
_ROW_DRIFT = 3.0  # ADU within a frame
_FULL_WELL = 62_000  # ADU: no pixel is read higher
_HOT_SHARE = 6e-4  # of all pixels
_GAUSSIAN_FROM = 1000.0  # electrons from which on a Gauss distribution is as good as Poisson's


@dataclass(frozen=True)
class SimDetector:
    """What is true of a detector. Arrays have the shape (height, width) of its exposed pixels."""

    description: DetectorDescription
    """As the camera's YAML has it: gain, read noise and where its pixels lie in the raw frame."""
    x_center: float
    """Where the centre of the focal plane lies, in this detector's pixels counted from 0."""
    bias: Floats
    """Fixed structure of the bias around its level, ADU."""
    dark_rate: Floats
    """Dark current, electrons a second."""
    response: dict[str, Floats]
    """Sensitivity by band, 1 on average."""

    @property
    def amplifier(self) -> AmplifierDescription:
        """The only one."""
        return self.description.amplifiers[0]

    def off_axis(self, x: Floats, y: Floats) -> Floats:
        """Return the distance of pixels from the centre of the focal plane."""
        return np.asarray(np.hypot(x - self.x_center, y - (self.bias.shape[0] - 1) / 2))

    def read_out(self, electrons: Floats, rng: np.random.Generator, charge: Floats | None = None) -> NDArray[np.uint16]:
        """Return the raw frame, overscan at the right, of an exposure.

        Parameters
        ----------
        electrons
            Expected electrons in each exposed pixel; their number gets its noise here.
        rng
            Where chance comes from.
        charge
            Electrons that come without noise (cosmic rays).
        """
        amplifier = self.amplifier
        height, width = electrons.shape
        x0, _, overscan, _ = amplifier.overscan or (width, 0, 0, 0)
        noisy = _photon_noise(electrons, rng)
        if charge is not None:
            noisy += charge
        raw = rng.standard_normal((height, x0 + overscan), dtype=np.float32) * (amplifier.read_noise / amplifier.gain)
        raw[:, :width] += noisy / amplifier.gain + self.bias
        rows = np.linspace(-1.0, 1.0, height)
        drift = rng.normal(0.0, _ROW_DRIFT, 3) @ np.array([rows, rows**2, np.sin(2.5 * rows)])
        raw += (_BIAS_LEVEL + rng.normal(0.0, _LEVEL_DRIFT) + drift)[:, None]
        return np.asarray(np.clip(np.rint(raw), 0, _FULL_WELL), dtype=np.uint16)


def _photon_noise(electrons: Floats, rng: np.random.Generator) -> Floats:
    if electrons.min() > _GAUSSIAN_FROM:
        return electrons + np.sqrt(electrons) * rng.standard_normal(electrons.shape, dtype=np.float32)
    if not electrons.any():
        return electrons.copy()
    return rng.poisson(electrons).astype(np.float64)


def make_detector(
    description: DetectorDescription, x_center: float, bands: tuple[str, ...], rng: np.random.Generator
) -> SimDetector:
    """Make a detector with flaws of its own.

    Parameters
    ----------
    description
        Its entry in the camera's YAML.
    x_center
        Where the centre of the focal plane lies, in this detector's pixels.
    bands
        Bands to make a response for.
    rng
        Where chance comes from.
    """
    width, height = description.amplifiers[0].data[2:]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    u, v = x / width - 0.5, y / height - 0.5
    columns = np.cumsum(rng.normal(0.0, 0.4, width)) + rng.normal(0.0, 1.0, width)
    bias = (columns - columns.mean())[None, :] + 6.0 * u * v - 4.0 * v**2 + rng.normal(0.0, 0.8, (height, width))
    dark = 0.05 + 0.03 * u + 0.02 * v**2
    hot = rng.random((height, width)) < _HOT_SHARE
    dark[hot] += 10 ** rng.uniform(0.0, 2.0, int(hot.sum()))
    fall = np.hypot(x - x_center, y - (height - 1) / 2) / 512.0
    grain = rng.normal(0.0, 0.008, (height, width))
    response = {}
    for band in bands:
        shape = (1.0 - 0.12 * fall**1.5) * (1.0 + grain + rng.normal(0.0, 0.003, (height, width)))
        for _ in range(3):
            shape *= 1.0 - _dust(x - rng.uniform(0, width), y - rng.uniform(0, height), rng)
        response[band] = shape / shape.mean()
    return SimDetector(description, x_center, bias - bias.mean(), dark, response)


def _dust(dx: Floats, dy: Floats, rng: np.random.Generator) -> Floats:
    """Return the shadow, as a fraction, of a grain far out of focus: a ring."""
    radius, depth = rng.uniform(14.0, 24.0), rng.uniform(0.01, 0.03)
    return np.asarray(depth * np.exp(-0.5 * ((np.hypot(dx, dy) - radius) / 4.0) ** 2))


def cosmic_rays(shape: tuple[int, ...], mean: float, rng: np.random.Generator) -> Floats:
    """Return the electrons that cosmic rays leave: straight tracks, most of them a few pixels long.

    Parameters
    ----------
    shape
        Height and width.
    mean
        How many rays to expect.
    rng
        Where chance comes from.
    """
    charge = np.zeros(shape)
    for _ in range(rng.poisson(mean)):
        length = 1.0 + rng.exponential(5.0)
        angle = rng.uniform(0.0, np.pi)
        steps = np.arange(0.0, length, 0.25)
        x = np.rint(rng.uniform(0, shape[1]) + steps * np.cos(angle)).astype(int)
        y = np.rint(rng.uniform(0, shape[0]) + steps * np.sin(angle)).astype(int)
        inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
        left = rng.lognormal(np.log(1500.0), 0.5) * 0.25 * rng.uniform(0.7, 1.3, x.size)
        np.add.at(charge, (y[inside], x[inside]), left[inside])
    return charge
