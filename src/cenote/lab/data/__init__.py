"""Data sets by the names people know: ``load("cifar10")``."""

from cenote.lab.data.images import ImageClassification, ImageSplit
from cenote.lab.data.registry import load, names

__all__ = ["ImageClassification", "ImageSplit", "load", "names"]
