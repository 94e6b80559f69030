"""The Butler: registry and files as one."""

from .butler import Butler

__all__ = ["Butler"]
