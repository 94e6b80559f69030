"""The command that draws a dataset into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import collections_option, split_names
from .repository import one_data_id

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..imaging.catalog import SourceCatalog

__all__ = ["plot"]


@click.command("plot")
@click.argument("repo")
@click.argument("dataset")
@click.argument("data_id", nargs=-1)
@click.option(
    "--output", "-o", required=True, type=click.Path(), metavar="FILE", help="Picture to write: .png, .pdf, .svg, …"
)
@collections_option
@click.option("--sources", metavar="DATASET", help="Catalog of the same data ID to be drawn over an exposure, as src.")
@click.option(
    "--stretch",
    type=click.Choice(["asinh", "zscale"]),
    default="asinh",
    show_default=True,
    help="How pixel values become brightness.",
)
@click.option("--planes", metavar="NAMES", help="Planes of the mask, as SAT,CR; '' for none.  [default: all]")
@click.option("--no-grid", is_flag=True, help="Draw no lines of right ascension and declination.")
@click.option(
    "--box", nargs=4, type=int, metavar="X Y WIDTH HEIGHT", help="Parent pixels to draw; nothing else is read."
)
@click.option(
    "--columns",
    nargs=2,
    metavar="X Y",
    default=("coord_ra", "coord_dec"),
    show_default=True,
    help="Columns of a catalog.",
)
def plot(
    repo: str,
    dataset: str,
    data_id: tuple[str, ...],
    output: str,
    collections: tuple[str, ...],
    sources: str | None,
    stretch: str,
    planes: str | None,
    no_grid: bool,
    box: tuple[int, int, int, int] | None,
    columns: tuple[str, str],
) -> None:
    """Draw one DATASET of REPO, named by its type and a data ID of key=value pairs, into a file.

    Exposures are drawn with their mask in colours, the sky's grid and, with --sources, a catalog over them; images and
    masks by themselves; of catalogs one column over another; of a camera its detectors. It needs matplotlib:
    pip install 'skybutler[plots]'.

    \b
      skybutler plot demo calexp visit=20190503091040 detector=0 -o m13.png --sources src
      skybutler plot demo calexp visit=20190503091040 detector=0 -o core.png --box 400 400 200 200
      skybutler plot demo src visit=20190503091040 detector=0 -o errors.pdf --columns psf_mag psf_mag_err
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise click.ClickException("Plots need matplotlib: pip install 'skybutler[plots]'.") from None
    from ..butler import Butler
    from ..imaging.geometry import Box2I

    figure = Figure(figsize=(10.0, 7.5), layout="constrained")
    supported = figure.canvas.get_supported_filetypes()
    suffix = Path(output).suffix.lstrip(".").lower()
    if suffix not in supported:
        raise click.UsageError(f"{output!r} is no picture that can be written; suffixes are {', '.join(supported)}.")
    search = split_names(collections) or None
    parameters = {"bbox": Box2I.from_list(list(box))} if box else None
    with Butler(repo, writeable=False) as butler:
        ref = butler.get_deferred(dataset, one_data_id(data_id), collections=search).ref
        try:
            obj = butler.get(ref, component=dataset.partition(".")[2] or None, parameters=parameters)
        except IndexError as error:  # the box is not within the image
            raise click.ClickException(str(error)) from error
        catalog = butler.get(sources, ref.data_id, collections=search) if sources else None
    shown = None if planes is None else split_names([planes])
    try:
        ax = _draw(obj, figure.subplots(), catalog, stretch, shown, no_grid, columns)
    except (KeyError, TypeError, ValueError) as error:  # a column, a plane or a kind that is not there
        raise click.ClickException(str(error.args[0])) from error
    if not ax.get_title():  # an exposure knows better what it is
        ax.set_title(f"{dataset} {', '.join(f'{name} {value}' for name, value in ref.data_id.items())}".rstrip())
    figure.savefig(output, dpi=120, bbox_inches="tight")
    click.echo(f"wrote {output}")


def _draw(
    obj: Any,
    ax: Axes,
    sources: SourceCatalog | None,
    stretch: str,
    planes: list[str] | None,
    no_grid: bool,
    columns: tuple[str, str],
) -> Axes:
    """Draw what an object is."""
    from ..imaging.catalog import SourceCatalog
    from ..imaging.detector import Camera
    from ..imaging.exposure import Exposure
    from ..imaging.image import Image
    from ..imaging.mask import Mask
    from ..imaging.masked_image import MaskedImage

    match obj:
        case Exposure():
            return obj.plot(sources, ax, stretch, planes=planes, grid=not no_grid)
        case MaskedImage():
            return obj.plot(ax, stretch, planes)
        case Image():
            return obj.plot(ax, stretch)
        case Mask():
            return obj.plot(ax, planes)
        case SourceCatalog():
            return obj.plot(*columns, ax)
        case Camera():
            return obj.plot(ax)
    raise TypeError(
        f"{type(obj).__name__} objects cannot be drawn; exposures, images, masks, source catalogs and cameras can."
    )
