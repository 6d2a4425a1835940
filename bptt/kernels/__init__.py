"""Compiled leaf code: bare, serial, ``nogil`` functions on C-contiguous arrays.

All checking happens in Python before them.
"""
