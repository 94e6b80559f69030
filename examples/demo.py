"""From raw frames to a catalog, through the butler: what ``make demo`` runs.

    python examples/demo.py [--repo FOLDER] [--data FOLDER --instrument NAME]

Without --data a small camera is simulated, and what is found is compared with what was put in; with it, real frames go
the same way.
"""

import argparse
import itertools
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from skybutler import Butler, Instrument, ingest_raws
from skybutler.tasks import run_pipeline

STEPS = itertools.count(1)
CONSOLE = Console(width=None if sys.stdout.isatty() else 140, highlight=False)


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--repo", type=Path, default=Path("demo"), help="folder for repositories and pictures (default: demo)"
    )
    parser.add_argument("--data", type=Path, help="folder of real raw frames; a camera is simulated without")
    parser.add_argument("--instrument", default="arcsat", help="the camera that took them (default: arcsat)")
    args = parser.parse_args()
    begin = time.perf_counter()

    name = args.data.resolve().name if args.data else "simulated"
    root = args.repo / name
    if args.data:
        frames, instrument = args.data, Instrument.load(args.instrument)
    else:
        frames, instrument = simulate(args.repo / "simulated-raws"), Instrument.load("simcam")

    say(f"A repository in {root}, and the raw frames into it")
    butler = Butler(root) if (root / "skybutler.yaml").exists() else Butler.create(root)
    report = ingest_raws(butler, [frames], instrument)
    CONSOLE.print(str(report))
    for _, reason in report.failed:
        CONSOLE.print(f"passed over: {reason}")

    say("Master bias, dark and flats; then every science frame: ISR, background, PSF, detection, measurement")
    code = 0
    for pipeline, output in (("calibration_frames", f"{instrument.name}/calib"), ("process", "u/demo/first")):
        done = run_pipeline(butler, pipeline, output=output)
        CONSOLE.print(done.table())
        code = code or done.exit_code
    if code:
        return code

    show_holdings(butler)
    show_queries(butler)
    sources = read_sources(butler)
    show_visits(butler, sources)
    if not args.data:
        compare_with_truth(sources, frames)
    say("Pictures")
    for path in (picture(butler, root), colour_magnitude_diagram(sources, root)):
        CONSOLE.print(f"{path}  ({path.stat().st_size // 1024} kB)", soft_wrap=True)
    command = Path(os.path.relpath(sys.executable)).with_name("skybutler")
    CONSOLE.print(f"\nDone in {time.perf_counter() - begin:.1f} s. Look around: {command} show {root}", soft_wrap=True)
    return 0


def say(text: str) -> None:
    """Print a heading, numbered."""
    CONSOLE.print(f"\n[bold]{next(STEPS)}. {text}[/bold]")


def simulate(folder: Path) -> Path:
    """Put the simulated camera's raw frames on disk, unless they are there."""
    from skybutler.testing.sky_simulator import simulate as make_frames

    if not (folder / "truth.parquet").exists():
        say(f"A simulated camera takes frames into {folder}")
        truth = make_frames(folder)
        CONSOLE.print(f"{len(truth.files)} frames")
    return folder


def print_rows(names: list[str], rows: list[Any]) -> None:
    """Print rows as a table."""
    table = Table(*names, box=None, pad_edge=False, header_style="dim")
    for row in rows:
        table.add_row(*(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row))
    CONSOLE.print(table)


def show_holdings(butler: Butler) -> None:
    """Print what the repository holds now."""
    say("What the repository holds (an SQL query on its views)")
    query = """SELECT dataset_type, count(*) AS datasets, round(sum(size) / 1e6, 1) AS megabytes
  FROM v_datasets WHERE dataset_type NOT LIKE '%\\_log' ESCAPE '\\' AND dataset_type NOT LIKE '%\\_metadata' ESCAPE '\\'
  GROUP BY dataset_type ORDER BY megabytes DESC"""
    CONSOLE.print(query, markup=False)
    print_rows(*butler.sql(query))


def show_queries(butler: Butler) -> None:
    """Ask by expression, and by SQL."""
    say("Ask by expression")
    bands = sorted({str(data_id["band"]) for data_id in butler.query_data_ids("visit", datasets="calexp")})
    where = f"band = '{bands[0]}' AND visit.exposure_time > 10 AND detector = 0"
    CONSOLE.print(f'butler.query_datasets("calexp", where="{where}", order_by="visit.timespan.begin")')
    for ref in butler.query_datasets("calexp", where=where, order_by="visit.timespan.begin"):
        CONSOLE.print(f"  {ref}")
    say("Ask by SQL")
    query = """SELECT label, count(*) AS quanta, round(avg(seconds), 3) AS mean_seconds, max(begin_date) AS last_begun
  FROM v_quanta WHERE outcome = 'done' GROUP BY label ORDER BY last_begun"""
    CONSOLE.print(query)
    print_rows(*butler.sql(query))


def read_sources(butler: Butler) -> pd.DataFrame:
    """Read all catalogs as one DataFrame: only the columns that are wanted leave the Parquet files."""
    columns = ["coord_ra", "coord_dec", "x", "y", "psf_flux", "psf_flux_err", "psf_mag", "psf_mag_err", "flag_edge",
               "flag_saturated_center"]  # fmt: skip
    frames = []
    for ref in butler.query_datasets("src", order_by=["visit", "detector"]):
        frame = butler.get(ref, storage_class="DataFrame", parameters={"columns": columns})
        [data_id] = butler.query_data_ids(["visit", "detector"], **ref.data_id)
        frames.append(frame.assign(visit=ref.data_id["visit"], detector=ref.data_id["detector"], band=data_id["band"]))
    return pd.concat(frames, ignore_index=True)


def show_visits(butler: Butler, sources: pd.DataFrame) -> None:
    """Print an analysis of the catalogs in pandas: how good each exposure was."""
    say("The catalogs in pandas: how good was each exposure?")
    exposure_time = {r.id: r.exposure_time for r in butler.query_dimension_records("visit")}
    quality = []
    for ref in butler.query_datasets("calexp", order_by=["visit", "detector"]):
        summary = butler.get("calexp.summary_stats", ref.data_id)
        quality.append(
            {"visit": ref.data_id["visit"], **{k: summary[k] for k in ("psf_fwhm_arcsec", "sky_noise", "mag_lim")}}
        )
    table = pd.DataFrame(quality).groupby("visit").mean()
    groups = sources.groupby("visit")
    table.insert(0, "band", groups["band"].first())
    table.insert(1, "sources", groups.size())
    table["throughput"] = throughput(sources, exposure_time)
    table["note"] = np.where(table["throughput"] < 0.75, "<- hazy", "")
    CONSOLE.print(table.sort_values(["band", "visit"]).round(2).to_string(), highlight=False)
    CONSOLE.print(
        f"{len(sources)} sources in {len(table)} visits; throughput is relative to the best visit of the band,"
    )
    CONSOLE.print("the median ratio of the PSF fluxes per second of the stars that they share")


def throughput(sources: pd.DataFrame, exposure_time: dict[int, float]) -> pd.Series:
    """Return how much light each visit caught of the same stars, the best of each band being 1."""
    good = sources[(sources.psf_flux > 50 * sources.psf_flux_err) & ~sources.flag_saturated_center & ~sources.flag_edge]
    relative: dict[int, float] = {}
    for _, of_band in good.groupby("band"):
        deepest = of_band.groupby("visit").size().idxmax()
        reference = of_band[of_band.visit == deepest]
        ratios = {}
        for visit, stars in of_band.groupby("visit"):
            mine, theirs = match(stars, reference)
            ratio = stars.psf_flux.to_numpy()[mine] / reference.psf_flux.to_numpy()[theirs]
            ratios[visit] = np.median(ratio) * exposure_time[int(deepest)] / exposure_time[int(visit)]
        best = max(ratios.values())
        relative |= {visit: ratio / best for visit, ratio in ratios.items()}
    return pd.Series(relative)


def match(one: pd.DataFrame, other: pd.DataFrame, arcseconds: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of two catalogs that are the same place on the sky."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    here = SkyCoord(one.coord_ra.to_numpy() * u.rad, one.coord_dec.to_numpy() * u.rad)
    there = SkyCoord(other.coord_ra.to_numpy() * u.rad, other.coord_dec.to_numpy() * u.rad)
    nearest, distance, _ = here.match_to_catalog_sky(there)
    close = distance.arcsec < arcseconds
    return np.flatnonzero(close), nearest[close]


def compare_with_truth(sources: pd.DataFrame, frames: Path) -> None:
    """Print how the catalogs compare with what was simulated."""
    from scipy.spatial import cKDTree

    say("Compared with the truth")
    truth = pd.read_parquet(frames / "truth.parquet")
    truth = truth[~truth.crowded & ~truth.edge & ~truth.hit & ~truth.saturated & (truth.snr > 10)]
    found, offsets, ratios = 0, [], []
    for (visit, detector), stars in truth.groupby(["exposure", "detector"]):
        mine = sources[(sources.visit == visit) & (sources.detector == detector)]
        distance, index = cKDTree(mine[["x", "y"]]).query(stars[["x", "y"]])
        hit = distance < 2.0
        found += int(hit.sum())
        bright = hit & (stars.snr > 50).to_numpy()
        matched = mine.iloc[index[bright]]
        offsets.append(matched[["x", "y"]].to_numpy() - stars[["x", "y"]].to_numpy()[bright])
        ratios.append(matched.psf_flux.to_numpy() / stars.flux.to_numpy()[bright])
    rms = float(np.sqrt(np.mean(np.concatenate(offsets) ** 2)))
    bias = float(np.median(np.concatenate(ratios)) - 1)
    CONSOLE.print(f"of {len(truth)} uncrowded stars above 10 sigma {100 * found / len(truth):.1f} % were found")
    CONSOLE.print(f"those above 50 sigma lie {rms:.3f} pixel (rms an axis) from their true places")
    CONSOLE.print(f"and their fluxes are off by {100 * bias:+.2f} % (median)")


def picture(butler: Butler, root: Path) -> Path:
    """Draw a calibrated exposure with its sources."""
    ref = next(iter(butler.query_datasets("calexp", order_by=["visit", "detector"])))
    calexp = butler.get("calexp", ref.data_id)
    figure = Figure(figsize=(10, 8.6), layout="constrained")
    axes = figure.add_subplot()
    calexp.plot(catalog=butler.get("src", ref.data_id), ax=axes)
    path = root / "calexp.png"
    figure.savefig(path, dpi=110)
    return path


def colour_magnitude_diagram(sources: pd.DataFrame, root: Path) -> Path:
    """Draw a colour-magnitude diagram from the deepest visits of the two bluest bands."""
    good = sources[
        np.isfinite(sources.psf_mag) & ~sources.flag_edge & ~sources.flag_saturated_center & (sources.psf_mag_err < 0.1)
    ]
    order = [band for band in "ugrizy" if band in set(good.band)]
    blue_band, red_band = order[0], order[1]
    deepest = {band: good[good.band == band].groupby("visit").size().idxmax() for band in (blue_band, red_band)}
    blue, red = (good[good.visit == deepest[band]] for band in (blue_band, red_band))
    mine, theirs = match(blue, red)
    colour = blue.psf_mag.to_numpy()[mine] - red.psf_mag.to_numpy()[theirs]
    figure = Figure(figsize=(6, 7.5), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(colour, red.psf_mag.to_numpy()[theirs], s=4, color="black", alpha=0.6, linewidths=0)
    axes.set(
        xlabel=f"{blue_band} - {red_band}  [mag]", ylabel=f"{red_band}  [AB mag]",
        title=f"{len(colour)} stars, visits {deepest[blue_band]} and {deepest[red_band]}",
        xlim=tuple(np.percentile(colour, [0.5, 99.5]) + np.array([-0.2, 0.2])),
    )  # fmt: skip
    axes.invert_yaxis()
    path = root / "colour_magnitude.png"
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    sys.exit(main())
