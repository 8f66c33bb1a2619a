"""Spatial Pyramid Pooling (arXiv 1406.4729): any size in, a fixed length out, and features computed once an image."""

from cenote.pooling.spp_net.average_precision import average_precision
from cenote.pooling.spp_net.convolutions import ConvStack
from cenote.pooling.spp_net.detector import ClippedBoxesWarning, Detections, Detector, SPPDetector
from cenote.pooling.spp_net.extraction import CroppedWindows, SharedMap
from cenote.pooling.spp_net.heads import BoxRegression, LinearSVMHead, SoftmaxHead
from cenote.pooling.spp_net.mining import fit_svm_head
from cenote.pooling.spp_net.projection import PaperProjection, ReleasedProjection
from cenote.pooling.spp_net.proposals import propose
from cenote.pooling.spp_net.pyramid import SpatialPyramidPool2d, group_by_size, spatial_pyramid_pool2d
from cenote.pooling.spp_net.replacing import HeadReplacement, NewWeightsWarning, replace_head_with_spp
from cenote.pooling.spp_net.saving import load_detector
from cenote.pooling.spp_net.training import DetectorSettings, train_detector
from cenote.pooling.spp_net.windows import spp_roi_pool

__all__ = [
    "BoxRegression",
    "ClippedBoxesWarning",
    "ConvStack",
    "CroppedWindows",
    "Detections",
    "Detector",
    "DetectorSettings",
    "HeadReplacement",
    "LinearSVMHead",
    "NewWeightsWarning",
    "PaperProjection",
    "ReleasedProjection",
    "SPPDetector",
    "SharedMap",
    "SoftmaxHead",
    "SpatialPyramidPool2d",
    "average_precision",
    "fit_svm_head",
    "group_by_size",
    "load_detector",
    "propose",
    "replace_head_with_spp",
    "spatial_pyramid_pool2d",
    "spp_roi_pool",
    "train_detector",
]
