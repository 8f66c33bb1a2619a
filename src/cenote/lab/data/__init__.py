"""Data sets by the names people know: ``load("cifar10")``."""

from cenote.lab.data.detection import DetectionSplit, ObjectDetection, Objects
from cenote.lab.data.images import ImageClassification, ImageSplit
from cenote.lab.data.registry import load, names

__all__ = [
    "DetectionSplit",
    "ImageClassification",
    "ImageSplit",
    "ObjectDetection",
    "Objects",
    "load",
    "names",
]
