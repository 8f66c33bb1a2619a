"""L-SFAN (arXiv 2406.16913): pooling sensor maps along time alone, judged on people left out."""

from cenote.pooling.l_sfan.augmentation import WindowAugmentation
from cenote.pooling.l_sfan.importance import sensor_importance
from cenote.pooling.l_sfan.leaks import Fold
from cenote.pooling.l_sfan.leaving_out import LeftOut, leave_one_subject_out, subject_folds
from cenote.pooling.l_sfan.network import LSFAN
from cenote.pooling.l_sfan.pooling import oriented_avg_pool
from cenote.pooling.l_sfan.recogniser import Recogniser, load_recogniser
from cenote.pooling.l_sfan.standardization import Standardization
from cenote.pooling.l_sfan.streaming import WindowStream
from cenote.pooling.l_sfan.training import WindowClassifier, WindowTraining
from cenote.pooling.l_sfan.windows import sliding_windows

__all__ = [
    "LSFAN",
    "Fold",
    "LeftOut",
    "Recogniser",
    "Standardization",
    "WindowAugmentation",
    "WindowClassifier",
    "WindowStream",
    "WindowTraining",
    "leave_one_subject_out",
    "load_recogniser",
    "oriented_avg_pool",
    "sensor_importance",
    "sliding_windows",
    "subject_folds",
]
