"""Degradations: what makes a training pair out of a clean photo, as tensor operations.

Everything runs on the pictures' own device, on the whole batch at once, and takes its randomness
from the generator it is given, so that a training step can be repeated from its seed.
"""

from mirnet_cli.training.degrade.graphics import draw_graphics
from mirnet_cli.training.degrade.lowlight import enhance_pair
from mirnet_cli.training.degrade.noise import denoise_pair
from mirnet_cli.training.degrade.super_resolution import upscale_pair

__all__ = ["denoise_pair", "draw_graphics", "enhance_pair", "upscale_pair"]
