"""Data sets by the names people know: ``load("cifar10")``."""

from cenote.lab.data.detection import DetectionSplit, ObjectDetection, Objects
from cenote.lab.data.images import ImageClassification, ImageSplit
from cenote.lab.data.registry import load, names
from cenote.lab.data.sensors import Recording, Sensor, SensorRecordings
from cenote.lab.data.shapes import MultiViewShapes, ShapeSplit

__all__ = [
    "DetectionSplit",
    "ImageClassification",
    "ImageSplit",
    "MultiViewShapes",
    "ObjectDetection",
    "Objects",
    "Recording",
    "Sensor",
    "SensorRecordings",
    "ShapeSplit",
    "load",
    "names",
]
