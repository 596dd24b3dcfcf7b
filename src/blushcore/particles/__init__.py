"""Sets of particles: their STAR tables, and their images read ahead of need or one at a time when asked for."""

from blushcore.particles.class_selection import (
    largest_class,
    particles_of_classes,
    where_images_are_missed,
)
from blushcore.particles.image_faults import ImageFaults
from blushcore.particles.image_reader import ImageReader
from blushcore.particles.image_stack import ImageStack
from blushcore.particles.lazy import LazyImages
from blushcore.particles.particle_table import CtfColumns, ParticleTable
from blushcore.particles.star_images import StarImages, read_star_images
from blushcore.particles.table_reading import read_particles

__all__ = [
    "CtfColumns",
    "ImageFaults",
    "ImageReader",
    "ImageStack",
    "LazyImages",
    "ParticleTable",
    "StarImages",
    "largest_class",
    "particles_of_classes",
    "read_particles",
    "read_star_images",
    "where_images_are_missed",
]
