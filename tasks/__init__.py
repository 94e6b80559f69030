"""The task framework: configurations, tasks, their connections to datasets, pipelines, and how they run.

Everything is imported when it is first used.
"""

from typing import TYPE_CHECKING

from ..model.lsst_names import lazy_exports

if TYPE_CHECKING:
    from .config import Config as Config
    from .config import Field as Field
    from .connections import InitOutput as InitOutput
    from .connections import Input as Input
    from .connections import Output as Output
    from .connections import PrerequisiteInput as PrerequisiteInput
    from .connections import TaskConnections as TaskConnections
    from .execution import run_pipeline as run_pipeline
    from .id_arguments import parse_id_arguments as parse_id_arguments
    from .id_arguments import where_of as where_of
    from .metadata import TaskMetadata as TaskMetadata
    from .pipeline import Pipeline as Pipeline
    from .pipeline_task import PipelineTask as PipelineTask
    from .pipeline_task import PipelineTaskConfig as PipelineTaskConfig
    from .report import RunReport as RunReport
    from .struct import Struct as Struct
    from .subtask import Subtask as Subtask
    from .subtask import SubtaskField as SubtaskField
    from .task import Task as Task
    from .task import time_method as time_method

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "config": ["Config", "Field"],
        "connections": ["InitOutput", "Input", "Output", "PrerequisiteInput", "TaskConnections"],
        "execution": ["run_pipeline"],
        "id_arguments": ["parse_id_arguments", "where_of"],
        "metadata": ["TaskMetadata"],
        "pipeline": ["Pipeline"],
        "pipeline_task": ["PipelineTask", "PipelineTaskConfig"],
        "report": ["RunReport"],
        "struct": ["Struct"],
        "subtask": ["Subtask", "SubtaskField"],
        "task": ["Task", "time_method"],
    },
)

__all__ = tuple(__dir__())
