"""Jobs on pixels: SkyButler beside what memory takes, and beside astropy and ccdproc (`skybutler[bench]`).

An image of float32, a mask of int32 and a variance of float32, 4096x4096 each unless asked otherwise. Contenders take
turns; medians of their times, the median of the ratios of each round, and the memory at most in use beyond inputs and
outputs are printed. ``--processor`` measures processor time instead, of all threads together, which other work on the
machine disturbs less; ``--without-numba`` is what an installation without ``skybutler[fast]`` does.

    python benchmarks/imaging.py [--size 4096] [--rounds 5] [--processor] [--without-numba] [job ...]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.stats import sigma_clipped_stats

import skybutler
from skybutler.imaging import (
    MEANCLIP,
    MEDIAN,
    STDEVCLIP,
    Box2I,
    Extent2I,
    Image,
    Mask,
    MaskedImage,
    Point2I,
    StatisticsControl,
    Wcs,
    make_statistics,
    statistics_stack,
    warp_image,
)

Contender = Callable[[], object]


def frame(size: int, seed: int) -> MaskedImage:
    """Make a frame of sky and stars, with some pixels masked."""
    rng = np.random.default_rng(seed)
    image = rng.normal(1000, 12, (size, size)).astype("float32")
    image.flat[rng.integers(0, image.size, size)] += 5000
    mask = np.where(rng.random((size, size)) < 0.02, 2, 0).astype("int32")
    return MaskedImage(Image(image), Mask(mask), Image(np.full((size, size), 144, "float32")))


def as_ccd(one: MaskedImage) -> CCDData:
    """Give a frame to astropy."""
    image, mask, variance = one.arrays
    return CCDData(image, unit="adu", mask=mask, uncertainty=VarianceUncertainty(variance))


def arithmetic(size: int, rounds: int) -> None:
    """In place: aims 1.5x of copying the planes that are worked on, and a quarter of what CCDData takes."""
    left, right = frame(size, 1), frame(size, 2)
    target = left.clone()
    ours, theirs = as_ccd(left), as_ccd(right)
    image, plain = right.image, CCDData(right.image.array, unit="adu")
    number = 1.01

    def copies(planes: int) -> Contender:
        def work() -> None:
            for to, source in list(zip(target.arrays, right.arrays, strict=True))[:planes]:
                np.copyto(to, source)

        return work

    def ones() -> None:
        left.image.array[...], left.variance.array[...] = 1000, 144

    both = {"handle_mask": np.bitwise_or}
    jobs: dict[str, tuple[int, Contender, Contender | None]] = {
        "+=": (3, lambda: left.__iadd__(right), lambda: ours.add(theirs, **both)),
        "-=": (3, lambda: left.__isub__(right), lambda: ours.subtract(theirs, **both)),
        "*=": (3, lambda: left.__imul__(right), lambda: ours.multiply(theirs, **both)),
        "/=": (3, lambda: left.__itruediv__(right), lambda: ours.divide(theirs, **both)),
        "scaled_plus": (3, lambda: left.scaled_plus(2.5, right), None),
        "scaled_multiplies": (3, lambda: left.scaled_multiplies(2.5, right), None),
        "scaled_divides": (3, lambda: left.scaled_divides(2.5, right), None),
        "+= image": (1, lambda: left.__iadd__(image), lambda: ours.add(plain, **both)),
        "*= image": (2, lambda: left.__imul__(image), lambda: ours.multiply(plain, **both)),
        "/= image": (3, lambda: left.__itruediv__(image), lambda: ours.divide(plain, **both)),
        "+= number": (1, lambda: left.__iadd__(number), lambda: ours.add(number * ours.unit)),
        "*= number": (2, lambda: left.__imul__(number), lambda: ours.multiply(number)),
        "/= number": (2, lambda: left.__itruediv__(number), lambda: ours.divide(number)),
    }
    for name, (planes, job, peer) in jobs.items():
        ones()
        compare(name, rounds, copies(planes), job, peer, "1.5 x copies, 4 x CCDData", before=ones)


def clipped(size: int, rounds: int) -> None:
    """MEANCLIP, STDEVCLIP and MEDIAN of a masked frame: aim 4x astropy."""
    one = frame(size, 1)
    control = StatisticsControl(and_mask="SAT")
    bad = one.mask.array != 0
    compare(
        "clipped statistics",
        rounds,
        lambda: one.image.array.sum(dtype="float64"),
        lambda: make_statistics(one, MEANCLIP | STDEVCLIP | MEDIAN, control),
        lambda: sigma_clipped_stats(one.image.array, mask=bad, sigma=3, maxiters=3),
        "4 x sigma_clipped_stats",
        inputs=sum(plane.nbytes for plane in one.arrays),
    )


def stack(size: int, rounds: int) -> None:
    """Clipped mean of 30 frames with variance: aim 3x ccdproc, in bounded memory."""
    from ccdproc import combine

    frames = [frame(size // 4, seed) for seed in range(30)]
    control = StatisticsControl(and_mask="SAT")
    ccds = [as_ccd(one) for one in frames]
    for ccd in ccds:
        ccd.mask = ccd.mask != 0
    compare(
        f"30 of {size // 4}x{size // 4}",
        max(1, rounds // 2),
        lambda: np.stack([one.image.array for one in frames]).mean(axis=0),
        lambda: statistics_stack(frames, MEANCLIP, control),
        lambda: combine(
            ccds, method="average", sigma_clip=True, sigma_clip_low_thresh=3, sigma_clip_high_thresh=3, mem_limit=4e9
        ),
        "3 x ccdproc.combine",
        inputs=sum(plane.nbytes for one in frames for plane in one.arrays),
        outputs=sum(plane.nbytes for plane in frames[0].arrays),
    )


def warp(size: int, rounds: int) -> None:
    """Take a frame to other pixels by Lanczos 3, with mask and variance; reproject, by cubics, the image alone."""
    from reproject import reproject_interp

    one = frame(size // 2, 1)
    middle, pixel = size / 4, 0.2 / 3600
    turn = np.array([[np.cos(0.05), -np.sin(0.05)], [np.sin(0.05), np.cos(0.05)]])
    straight = np.diag([-pixel, pixel])
    old = Wcs.make_tan((middle, middle), (150.0, 2.0), straight)
    new = Wcs.make_tan((middle + 0.3, middle + 0.2), (150.0, 2.0), straight @ turn)
    to = new.as_astropy(), one.image.array.shape
    compare(
        f"warp {size // 2}x{size // 2}",
        max(1, rounds // 2),
        lambda: [plane.copy() for plane in one.arrays],
        lambda: warp_image(one, old, new, one.bbox),
        lambda: reproject_interp((one.image.array, old.as_astropy()), *to, order="bicubic", return_footprint=False),
        "1 s",
        inputs=sum(plane.nbytes for plane in one.arrays),
        outputs=sum(plane.nbytes for plane in one.arrays),
    )


def plain_files(size: int, rounds: int) -> None:
    """Write and read three planes as they are: aim 1.5x of numpy's tofile and fromfile of the planes, byteswapped."""
    one = frame(size, 1)
    with tempfile.TemporaryDirectory() as folder:
        raw, path, theirs = (Path(folder, name) for name in ("raw", "ours.fits", "theirs.fits"))

        def write() -> None:
            with raw.open("wb") as stream:
                for plane in one.arrays:
                    plane.byteswap().tofile(stream)

        def read() -> None:
            with raw.open("rb") as stream:
                for plane in one.arrays:
                    np.fromfile(stream, plane.dtype, plane.size).byteswap(inplace=True)

        peer = fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(plane) for plane in one.arrays)])
        compare(
            "write",
            rounds,
            write,
            lambda: skybutler.write(one, path),
            lambda: peer.writeto(theirs, overwrite=True),
            "1.5 x tofile",
        )
        compare("read", rounds, read, lambda: skybutler.read(path), lambda: pixels(theirs), "1.5 x fromfile")


def compressed_files(size: int, rounds: int) -> None:
    """Write, read and cut out of gzipped tiles: aims 3x, 3x and 5x astropy's CompImageHDU, in no larger a file."""
    one = frame(size, 1)
    corner = size // 2 - 128 + 50  # a box over four tiles
    box = Box2I(Point2I(corner, corner), Extent2I(256, 256))
    cut = np.s_[corner : corner + 256, corner : corner + 256]
    with tempfile.TemporaryDirectory() as folder:
        raw, path, theirs = (Path(folder, name) for name in ("raw", "ours.fits", "theirs.fits"))

        def peer_writes() -> None:
            hdus = [
                fits.CompImageHDU(plane, compression_type="GZIP_2", quantize_level=0, tile_shape=(256, 256))
                for plane in one.arrays
            ]
            fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(theirs, overwrite=True)

        def write() -> None:
            with raw.open("wb") as stream:
                for plane in one.arrays:
                    plane.tofile(stream)

        def read() -> None:
            with raw.open("rb") as stream:
                for plane in one.arrays:
                    np.fromfile(stream, plane.dtype, plane.size)

        def ours() -> None:
            skybutler.write(one, path, compression="gzip")

        compare("write gzip", max(1, rounds // 2), write, ours, peer_writes, "3 x astropy")
        compare("read gzip", rounds, read, lambda: skybutler.read(path), lambda: pixels(theirs), "3 x astropy")
        compare(
            "256x256 of gzip",
            4 * rounds,
            lambda: [np.memmap(raw, "f4", "r", 4 * size * size * n, (size, size))[cut].copy() for n in range(3)],
            lambda: skybutler.read(path, bbox=box),
            lambda: pixels(theirs, cut),
            "5 x astropy",
        )
        sizes = [file.stat().st_size / 1e6 for file in (path, theirs)]
        print(f"file, MB: SkyButler {sizes[0]:.1f}, astropy {sizes[1]:.1f}   aim: no larger", flush=True)
        python = os.environ.get("SKYBUTLER_LSST_IMAGES_PYTHON")
        if python:
            code = LSST_IMAGES.format(size=size, rounds=max(1, rounds // 2), folder=folder, corner=corner)
            subprocess.run([python, "-c", code], check=True)


LSST_IMAGES = """
import pathlib, statistics, time, warnings
import numpy as np
from lsst.images import Box, Image, Mask, MaskedImage, MaskPlane, MaskSchema
warnings.simplefilter("ignore")
rng, size, path = np.random.default_rng(1), {size}, pathlib.Path("{folder}/lsst.fits")
image = rng.normal(1000, 12, (size, size)).astype("float32")
mask = Mask(0, schema=MaskSchema([MaskPlane("SAT", "")], dtype=np.uint8), shape=(size, size))
mask.set("SAT", rng.random((size, size)) < 0.02)
one = MaskedImage(Image(image), mask=mask, variance=Image(np.full((size, size), 144, "float32")))
box = Box.factory[{corner} : {corner} + 256, {corner} : {corner} + 256]
times = {{"write": [], "read": [], "cut": []}}
for _ in range({rounds}):
    path.unlink(missing_ok=True)
    for name, job in (("write", lambda: one.write(str(path))), ("read", lambda: MaskedImage.read(str(path))),
                      ("cut", lambda: MaskedImage.read(str(path), bbox=box))):
        begin = time.perf_counter()
        job()
        times[name].append(time.perf_counter() - begin)
said = ", ".join(f"{{name}} {{statistics.median(taken) * 1e3:.1f}} ms" for name, taken in times.items())
print(f"lsst-images, gzip: {{said}}, {{path.stat().st_size / 1e6:.1f}} MB")
"""
"""Run by a Python that has lsst-images, which ``SKYBUTLER_LSST_IMAGES_PYTHON`` names."""


def pixels(path: Path, part: object = None) -> list[np.ndarray]:
    """Read three planes, or a part of them, with astropy, in this machine's byte order as ours are."""
    with fits.open(path, memmap=False) as hdus:
        arrays = [hdu.data if part is None else hdu.section[part] for hdu in hdus[1:]]
        return [array.astype(array.dtype.newbyteorder("=")) for array in arrays]


def timed(job: Contender) -> float:
    """Return the seconds that a job takes."""
    clock = time.process_time if "--processor" in sys.argv else time.perf_counter
    begin = clock()
    job()
    return clock() - begin


def compare(
    name: str,
    rounds: int,
    raw: Contender,
    ours: Contender,
    peer: Contender | None,
    aim: str,
    *,
    inputs: int = 0,
    outputs: int = 0,
    before: Contender = lambda: None,
) -> None:
    """Time the contenders in turn, and print one row."""
    times: dict[str, list[float]] = {"raw": [], "ours": [], "peer": []}
    for contender in (raw, ours):
        contender()
    for _ in range(rounds):
        before()
        times["raw"].append(timed(raw))
        times["ours"].append(timed(ours))
        if peer is not None:
            times["peer"].append(timed(peer))
    memory = "-"
    if inputs:
        tracemalloc.start()
        ours()
        memory = f"{(inputs + tracemalloc.get_traced_memory()[1]) / (inputs + outputs):.2f}x"
        tracemalloc.stop()
    of_raw = statistics.median(a / b for a, b in zip(times["ours"], times["raw"], strict=True))
    row = f"{name:<20}{statistics.median(times['raw']) * 1e3:>10.1f}{statistics.median(times['ours']) * 1e3:>11.1f}"
    if peer is None:
        print(f"{row}{'-':>10}{of_raw:>8.2f}x{'-':>9}{memory:>8}   {aim}", flush=True)
        return
    faster = statistics.median(b / a for a, b in zip(times["ours"], times["peer"], strict=True))
    peers = statistics.median(times["peer"]) * 1e3
    print(f"{row}{peers:>10.1f}{of_raw:>8.2f}x{faster:>8.1f}x{memory:>8}   {aim}", flush=True)


JOBS = {
    "arithmetic": arithmetic,
    "clipped": clipped,
    "stack": stack,
    "warp": warp,
    "plain": plain_files,
    "compressed": compressed_files,
}


def main() -> None:
    """Run the jobs asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="job", help=f"of {', '.join(JOBS)}; all by default")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor", action="store_true", help="measure processor time")
    parser.add_argument("--without-numba", action="store_true", help="do as though numba was not installed")
    args = parser.parse_args()
    if args.without_numba:
        sys.modules["numba"] = None  # type: ignore[assignment]  # which makes its import fail
    warnings.simplefilter("ignore")  # what the peers say of NaN and of chunks
    print(f"{'job (ms)':<20}{'raw':>10}{'SkyButler':>11}{'peer':>10}{'of raw':>9}{'faster':>9}{'memory':>8}   aim")
    for name in args.jobs or JOBS:
        JOBS[name](args.size, args.rounds)


if __name__ == "__main__":
    main()
