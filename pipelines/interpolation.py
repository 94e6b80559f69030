"""Values for bad pixels, from the good ones beside them in the row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def interpolate_along_rows(
    array: npt.NDArray[np.floating], bad: npt.NDArray[np.bool_], blank: npt.NDArray[np.bool_] | None = None
) -> None:
    """Replace bad pixels, in place, linearly between the nearest good ones to the left and right.

    At the ends of a row the nearest good pixel stands alone; a row without any takes the median of all good pixels.

    Parameters
    ----------
    array
        (height, width), changed.
    bad
        (height, width) pixels to replace.
    blank
        (height, width) pixels that stay as they are and say nothing of others.
    """
    rows = np.nonzero(bad.any(axis=1))[0]
    if not len(rows):
        return
    useless = bad if blank is None else bad | blank
    values, hidden = array[rows], useless[rows]
    width = array.shape[1]
    columns = np.arange(width)
    left = np.maximum.accumulate(np.where(hidden, -1, columns), axis=1)
    right = np.minimum.accumulate(np.where(hidden, width, columns)[:, ::-1], axis=1)[:, ::-1]
    row, column = np.nonzero(bad[rows])
    before, after = left[row, column], right[row, column]
    has_before, has_after = before >= 0, after < width
    low = values[row, np.where(has_before, before, np.clip(after, 0, width - 1))]
    high = values[row, np.where(has_after, after, np.clip(before, 0, width - 1))]
    span = np.where(has_before & has_after, after - before, 1)
    share = np.where(has_before & has_after, (column - before) / span, 0.0)
    filled = low + share * (high - low)
    lonely = ~(has_before | has_after)
    if lonely.any():
        good = array[~useless]
        filled[lonely] = np.median(good) if good.size else 0.0
    values[row, column] = filled
    array[rows] = values
