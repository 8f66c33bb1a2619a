"""Where a command may train a network."""

from __future__ import annotations

import torch

from cenote.errors import ArgumentError


def check_device(device: str) -> None:
    """Check that tensors can be made on a device.

    Raises:
        ArgumentError: If not; names the option ``--device``.
    """
    try:
        torch.zeros(1, device=device).item()  # read too: what is on the device meta holds no numbers
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts that it has it
        reason = str(error).splitlines()[0]
        raise ArgumentError(f"--device {device} cannot be used here: {reason}") from error
