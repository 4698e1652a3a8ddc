"""OpenCWM: the open Code World Model stack."""

__version__ = "0.1.0"
