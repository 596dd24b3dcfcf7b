"""The posterior over poses: image preparation, comparison of images with slices, sums for the next model."""

from blushcore.inference.accuracy import Accuracy, estimate_accuracy
from blushcore.inference.expectation import expectation
from blushcore.inference.images import circular_mask
from blushcore.inference.memory import MemoryPlan
from blushcore.inference.model import ImageModel, ImageSource, LocalSearch, Particles, Sampling
from blushcore.inference.noise import IMAGES_FOR_FIRST_ESTIMATE, NoiseEstimate
from blushcore.inference.sums import ExpectationSums, ImageResults

__all__ = [
    "IMAGES_FOR_FIRST_ESTIMATE",
    "Accuracy",
    "ExpectationSums",
    "ImageModel",
    "ImageResults",
    "ImageSource",
    "LocalSearch",
    "MemoryPlan",
    "NoiseEstimate",
    "Particles",
    "Sampling",
    "circular_mask",
    "estimate_accuracy",
    "expectation",
]
