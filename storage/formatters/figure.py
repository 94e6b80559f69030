"""Figures of matplotlib, as PNG or SVG."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.errors import FileFormatError
from .formatter import ByteSink, Formatter, check_parameters, no_component, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...model.storage_class import StorageClass

__all__ = ["FigureFormatter", "SvgFormatter", "SvgText"]


class FigureFormatter(Formatter):
    """Writes a figure as PNG, in its own size and resolution; what is read back is a figure that shows the picture."""

    name = "figure"
    suffix = ".png"

    def write(
        self, obj: "Figure", sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]
    ) -> None:
        """Draw the figure; the PNG's text fields say which dataset it is."""
        picture = BytesIO()
        obj.savefig(
            picture, format="png", dpi=obj.dpi, metadata={"Source": repr(dict(provenance))} if provenance else None
        )
        sink.write(picture.getbuffer())

    def read(
        self, path: Path, storage_class: "StorageClass", component: str | None, parameters: Mapping[str, Any]
    ) -> "Figure":
        """Read the picture into a figure of the same size in pixels."""
        from matplotlib.figure import Figure
        from matplotlib.image import imread

        check_parameters(parameters, (), storage_class)
        if component is not None:
            raise no_component(component, (), storage_class)
        try:
            pixels = imread(path)
        except FileNotFoundError:
            raise
        except Exception as error:  # of a damaged or monstrous one Pillow raises whatever comes
            raise FileFormatError(f"{path} is not a PNG picture: {error}") from error
        height, width = pixels.shape[:2]
        figure = Figure(figsize=(width / 100, height / 100), dpi=100)
        figure.figimage(pixels)
        return figure


class SvgText(str):
    """A drawing as the text of an SVG file; notebooks show it."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


class SvgFormatter(Formatter):
    """Writes a figure as SVG; what is read back is the drawing (`SvgText`), of which no figure can be made again."""

    name = "svg"
    suffix = ".svg"

    def write(
        self, obj: "Figure", sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]
    ) -> None:
        """Draw the figure; the SVG's metadata say which dataset it is."""
        drawing = BytesIO()
        obj.savefig(drawing, format="svg", metadata={"Source": repr(dict(provenance))} if provenance else None)
        sink.write(drawing.getbuffer())

    def read(
        self, path: Path, storage_class: "StorageClass", component: str | None, parameters: Mapping[str, Any]
    ) -> SvgText:
        """Read the drawing."""
        check_parameters(parameters, (), storage_class)
        if component is not None:
            raise no_component(component, (), storage_class)
        text = text_of(path)
        if "<svg" not in text:
            raise FileFormatError(f"{path} is no SVG drawing")
        return SvgText(text)
