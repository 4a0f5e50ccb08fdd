"""Fuzzing of what reads files of strangers; see ``decoder.py``."""
