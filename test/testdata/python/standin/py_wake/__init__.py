"""Stands in for PyWake where it is not installed: the calls of examples/005-pywake, and energy without physics."""
