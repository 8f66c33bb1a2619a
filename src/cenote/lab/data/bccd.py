"""BCCD: 364 photographs of blood smears, 640×480, with boxes around red cells, white cells and platelets."""

from __future__ import annotations

from pathlib import Path

from cenote.lab.data import voc
from cenote.lab.data.detection import ObjectDetection

FOLDERS = ("bccd", "BCCD", "BCCD_Dataset/BCCD", "")
"""Where it lies under a root; its repository keeps it in ``BCCD``."""


def load(root: Path | None = None) -> ObjectDetection:
    """Load BCCD, which lies in Pascal VOC's layout; trains on ``trainval.txt``, tests on ``test.txt``.

    Args:
        root: The folder with ``bccd``; else ``CENOTE_DATA``.

    Raises:
        DataNotFoundError: If there is no such folder.
        DataFormatError: If a list, an annotation or an image is missing or damaged.
    """
    return voc.read_folder(voc.find(root, FOLDERS, "bccd"), "bccd")
