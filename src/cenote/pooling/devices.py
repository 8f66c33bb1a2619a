"""Where a command may train a network."""

from __future__ import annotations

import torch

from cenote.errors import ArgumentError


def check_device(device: str) -> None:
    """Check that tensors can be made on a device.

    Raises:
        ArgumentError: If not; names the option ``--device``.
    """
    if device.partition(":")[0] == "meta":
        raise ArgumentError(f"--device {device} cannot be used here: its tensors hold no numbers")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts that it has it
        reason = str(error).splitlines()[0]
        raise ArgumentError(f"--device {device} cannot be used here: {reason}") from error
