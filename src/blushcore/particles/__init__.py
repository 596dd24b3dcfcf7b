"""Images of particles, read from their files one at a time when asked for."""

from blushcore.particles.image_stack import ImageStack
from blushcore.particles.lazy import LazyImages
from blushcore.particles.star_images import StarImages, read_star_images

__all__ = ["ImageStack", "LazyImages", "StarImages", "read_star_images"]
