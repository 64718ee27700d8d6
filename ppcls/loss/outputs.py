"""What networks return: logits, or logits together with the outputs of further heads."""

from __future__ import annotations

from typing import Dict, List, Sequence, Union

import paddle

Outputs = Union[paddle.Tensor, Dict[str, paddle.Tensor], Sequence[paddle.Tensor]]
"""Logits [n, classes], or a dict that has them under "logits", or a sequence that starts so."""


def main_logits(outputs: Outputs) -> paddle.Tensor:
    """Return the logits [n, classes] of the main head, half-precision ones as float32."""
    if isinstance(outputs, dict):
        logits = outputs["logits"]
    else:
        logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
    return logits if logits.dtype == paddle.float64 else logits.astype("float32")


def auxiliary_logits(outputs: Outputs) -> List[paddle.Tensor]:
    """Return the logits [n, classes] of the heads beside the main one; empty where there is one."""
    return list(outputs[1:]) if isinstance(outputs, (list, tuple)) else []
