"""Turn packet captures of unused addresses into exact hourly counts."""

from fastflow._version import __version__

__all__ = ["__version__"]
