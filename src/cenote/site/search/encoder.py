"""The encoder of queries and papers: a sentence in, a vector of length one out; ONNX Runtime runs it, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import onnxruntime
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tokenizers import Tokenizer

from cenote.errors import StorageError

FOLDER = "encoder"
"""Name of its folder in the site's home."""
MODEL, TOKENIZER, DESCRIPTION = "model.onnx", "tokenizer.json", "encoder.json"
QUANTIZED = "model_quantized.onnx"
"""The model with weights of eight bits."""

Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class Description(BaseModel):
    """``encoder.json``: what must be known of an encoder besides its weights and words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """Vectors of encoders with different names are never compared."""
    max_tokens: Annotated[int, Field(ge=2, le=8_192)]
    dimension: Annotated[int, Field(ge=1, le=8_192)]


class Encoder:
    """Encodes texts as sentence transformers do that average over tokens: mean of the last layer, then length one.

    Args:
        folder: Holds ``model.onnx``, whose inputs are ``input_ids`` and ``attention_mask``, both (B, N), and whose
            output is (B, N, D); ``tokenizer.json`` and ``encoder.json``; perhaps ``model_quantized.onnx``.
        threads: Threads of one call.
        quantized: Whether to run the model with weights of eight bits where there is one. It takes about half the time
            for one text and is meant for queries: its vectors are close to those of the whole model, but depend on
            what else is in a batch.

    Raises:
        StorageError: If a file is missing or damaged.
    """

    def __init__(self, folder: Path, *, threads: int = 1, quantized: bool = False) -> None:
        model = folder / (QUANTIZED if quantized and (folder / QUANTIZED).exists() else MODEL)
        try:
            self.description = Description.model_validate_json((folder / DESCRIPTION).read_bytes())
            tokenizer: Tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            self._session = onnxruntime.InferenceSession(model, _options(threads), providers=["CPUExecutionProvider"])
        except (OSError, ValidationError) as error:
            raise StorageError(f"the encoder in {folder} cannot be read: {_first_line(error)}") from None
        except Exception as error:  # both libraries raise bare exceptions of their own for a damaged file
            raise StorageError(f"the encoder in {folder} is damaged: {_first_line(error)}") from None
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.description.max_tokens)
        self._tokenizer = tokenizer
        self._pad = tokenizer.token_to_id("[PAD]") or 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts in the order given, all in one batch.

        **Shapes**: returns (B, D), each row of length one; similarity is the dot product.
        """
        if not texts:
            return np.empty((0, self.description.dimension), np.float32)
        ids, mask = self.tokens(texts)
        layer = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return pooled(np.asarray(layer), mask)

    def tokens(self, texts: Sequence[str]) -> tuple[Integers, Integers]:
        """Return what the model is given: the tokens, filled up to the longest text's, and which of them are real.

        **Shapes**: returns (B, N) twice.
        """
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        ids = np.full((len(tokens), max(map(len, tokens))), self._pad, np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(tokens):
            ids[row, : len(each)] = each
            mask[row, : len(each)] = 1
        return ids, mask


def pooled(layer: npt.NDArray[np.floating], mask: Integers) -> Vectors:
    """Return the mean over the tokens that are no padding, scaled to length one.

    **Shapes**: layer (B, N, D), mask (B, N), returns (B, D).
    """
    weights = mask.astype(np.float32)
    mean = np.einsum("bnd,bn->bd", layer, weights) / weights.sum(1, keepdims=True).clip(1e-9)
    vectors: Vectors = (mean / np.linalg.norm(mean, axis=1, keepdims=True).clip(1e-12)).astype(np.float32)
    return vectors


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
