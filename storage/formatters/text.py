"""Plain text: logs and notes, one UTF-8 file each."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .formatter import ByteSink, Formatter, check_parameters, no_component, text_of

if TYPE_CHECKING:
    from ...model.storage_class import StorageClass

__all__ = ["TextFormatter"]


class TextFormatter(Formatter):
    """Writes a ``str`` as it is, in UTF-8, with no newline added or changed."""

    name = "text"
    suffix = ".txt"

    def write(self, obj: str, sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]) -> None:
        """Write the text."""
        sink.write(obj.encode("utf-8", "surrogateescape"))

    def read(
        self, path: Path, storage_class: "StorageClass", component: str | None, parameters: Mapping[str, Any]
    ) -> str:
        """Read the text."""
        check_parameters(parameters, (), storage_class)
        if component is not None:
            raise no_component(component, (), storage_class)
        return text_of(path)
