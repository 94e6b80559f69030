"""Tasks that take raw frames to calibrated exposures and catalogs, and the pipelines that ship.

Every public name is reached from here (``from skybutler.pipelines import IsrTask``), and its module is loaded when it
is first asked for.
"""

from typing import TYPE_CHECKING

from ..model.lsst_names import lazy_exports

if TYPE_CHECKING:
    from .background import SubtractBackgroundTask as SubtractBackgroundTask
    from .calibrate import CalibrateTask as CalibrateTask
    from .calibration_frames import MasterBiasTask as MasterBiasTask
    from .calibration_frames import MasterDarkTask as MasterDarkTask
    from .calibration_frames import MasterFlatTask as MasterFlatTask
    from .characterize import CharacterizeImageTask as CharacterizeImageTask
    from .isr import IsrTask as IsrTask
    from .isr_config import IsrConfig as IsrConfig

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "background": ("SubtractBackgroundTask",),
        "calibrate": ("CalibrateTask",),
        "calibration_frames": ("MasterBiasTask", "MasterDarkTask", "MasterFlatTask"),
        "characterize": ("CharacterizeImageTask",),
        "isr": ("IsrTask",),
        "isr_config": ("IsrConfig",),
    },
)

__all__ = tuple(__dir__())
