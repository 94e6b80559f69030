"""PipelineTask: a task that says what datasets it takes and makes, so that a pipeline can run it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, create_model

from ..model.errors import TaskError
from .config import Config
from .connections import TaskConnections
from .struct import Struct
from .task import Task

if TYPE_CHECKING:
    import logging

    from .quantum_context import InputRefs, OutputRefs, QuantumContext

__all__ = ["PipelineTask", "PipelineTaskConfig"]


class PipelineTaskConfig(Config):
    """Configuration of a PipelineTask: its own fields, and the names of its dataset types under ``connections``."""

    connections_class: ClassVar[type[Config]] = Config

    connections: Config = Field(
        default_factory=Config, description="Dataset type of each connection, and texts of templates in names."
    )

    def model_post_init(self, context: Any, /) -> None:
        """Fill ``connections`` with the names that the task's class declares."""
        super().model_post_init(context)
        if type(self.connections) is Config:
            self.__dict__["connections"] = self.connections_class()


class PipelineTask(Task):
    """A task with connections, which a pipeline can run.

    A subclass declares them and works on objects only; reading and writing is done around it::

        class SmoothTask(PipelineTask):
            ConfigClass = SmoothConfig

            class Connections(TaskConnections, dimensions=("instrument", "visit", "detector")):
                exposure = Input("calexp", storage_class="Exposure", dimensions=("instrument", "visit", "detector"))
                smoothed = Output("smoothed", storage_class="Exposure", dimensions=("instrument", "visit", "detector"))

            def run(self, exposure: Exposure) -> Struct:
                return Struct(smoothed=...)

    Parameters
    ----------
    config, name, parent_task, log
        As of ``Task``.
    """

    ConfigClass: ClassVar[type[Config]] = PipelineTaskConfig
    Connections: ClassVar[type[TaskConnections]] = TaskConnections

    ConnectionNames: ClassVar[type[Config]] = Config
    """Configuration whose fields are the connections' names; made with the class."""

    connections: TaskConnections
    """The connections under this task's configuration."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        own_config = "ConfigClass" in cls.__dict__
        if "Connections" in cls.__dict__ or own_config:
            config_class = cls.ConfigClass
            if not issubclass(config_class, PipelineTaskConfig):
                raise TaskError(
                    f"{cls.__name__}.ConfigClass must be a PipelineTaskConfig, not {config_class.__name__}."
                )
            if not own_config or "connections_class" in config_class.__dict__:
                # That class names another task's connections: these ones need a class of their own.
                place = {"__module__": cls.__module__, "__qualname__": f"{cls.__qualname__}.ConfigClass"}
                config_class = type(config_class.__name__, (config_class,), place)
                cls.ConfigClass = config_class
            cls.ConnectionNames = _names_config(cls)
            setattr(config_class, "connections_class", cls.ConnectionNames)  # noqa: B010 - mypy forgot what it is
        super().__init_subclass__(**kwargs)

    def __init__(
        self,
        config: Config | None = None,
        *,
        name: str | None = None,
        parent_task: Task | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        super().__init__(config, name=name, parent_task=parent_task, log=log)
        self.connections = self.Connections(self.config)

    def run_quantum(self, quantum_context: QuantumContext, inputs: InputRefs, outputs: OutputRefs) -> None:
        """Read a quantum's inputs, run, and write its outputs; override it where that is not enough.

        Parameters
        ----------
        quantum_context
            Reads inputs, takes outputs, and knows the quantum's data ID.
        inputs
            By attribute of the connection: a ref, a list of refs, or None where an optional one is missing.
        outputs
            The same for outputs.

        Raises
        ------
        TaskError
            ``run`` returned no Struct, or one without an item that the connections promise.
        """
        result = self.run(**quantum_context.get(inputs))
        if not isinstance(result, Struct):
            raise TaskError(f"{type(self).__name__}.run must return a Struct, not {type(result).__name__}.")
        quantum_context.put(result, outputs)


def _names_config(task_class: type[PipelineTask]) -> type[Config]:
    connections = task_class.Connections
    fields: dict[str, Any] = {
        name: (str, Field(connection.name, description=connection.doc or None))
        for name, connection in connections.declared().items()
    }
    fields |= {name: (str, Field(text, description="Template.")) for name, text in connections.templates.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Field name .* shadows an attribute")  # a dataset may well be called flat
        model = create_model(
            f"{task_class.__name__}ConnectionNames", __base__=Config, __module__=task_class.__module__, **fields
        )
    model.__qualname__ = f"{task_class.__qualname__}.ConnectionNames"  # where pickle finds it
    model.task_name = f"{task_class.__name__}.connections"
    return model
