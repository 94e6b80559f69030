"""Pipelines for the eye: a text tree, and a Mermaid flowchart."""

from __future__ import annotations

from .connections import Connection, PrerequisiteInput
from .pipeline import Pipeline

__all__ = ["as_mermaid", "as_tree"]


def as_tree(pipeline: Pipeline) -> str:
    """Return each task in order of execution, with what it takes (and from which task) and makes."""
    makers = pipeline.producers()
    lines = [pipeline.description] if pipeline.description else []
    for node in pipeline.ordered():
        connections = node.connections
        lines.append(f"{node.label}: {node.task_class.__name__} ({', '.join(connections.dimensions)})")
        if node.where:
            lines.append(f"│  where {node.where}")
        rows: list[tuple[str, Connection, str]] = [(">", c, _source(c, makers)) for c in connections.inputs.values()]
        rows += [(">", c, f"{_kind(c)}{_source(c, makers)}") for c in connections.prerequisites.values()]
        rows += [("<", c, "") for c in [*connections.outputs.values(), *connections.init_outputs.values()]]
        for number, (arrow, connection, note) in enumerate(rows, start=1):
            corner = "└─" if number == len(rows) else "├─"
            several = " (several)" if getattr(connection, "multiple", False) else ""
            direction = "takes" if arrow == ">" else "makes"
            note = f", {note.strip()}" if note else ""
            lines.append(f"{corner} {direction} {connection.name}{several}: {connection.storage_class}{note}")
    for name, members in pipeline.subsets.items():
        lines.append(f"subset {name}: {', '.join(members)}")
    return "\n".join(lines)


def _kind(prerequisite: PrerequisiteInput) -> str:
    return "prerequisite" if prerequisite.minimum else "optional prerequisite"


def _source(connection: Connection, makers: dict[str, str]) -> str:
    return f" from {makers[connection.name]}" if connection.name in makers else ""


def as_mermaid(pipeline: Pipeline) -> str:
    """Return a flowchart: tasks as boxes, dataset types as rounded ones, prerequisites by dotted arrows."""
    lines = ["flowchart TD"]
    drawn: set[str] = set()

    def dataset(connection: Connection) -> str:
        key = f"d_{connection.name}"
        if key not in drawn:
            drawn.add(key)
            lines.append(f'  {key}(["{connection.name}<br/>{", ".join(connection.dimensions)}"])')
        return key

    for node in pipeline.ordered():
        connections = node.connections
        task = f"t_{node.label}"
        lines.append(f'  {task}["<b>{node.label}</b><br/>{node.task_class.__name__}"]')
        lines += [f"  {dataset(c)} --> {task}" for c in connections.inputs.values()]
        lines += [f"  {dataset(c)} -.-> {task}" for c in connections.prerequisites.values()]
        lines += [f"  {task} --> {dataset(c)}" for c in connections.outputs.values()]
    return "\n".join(lines)
