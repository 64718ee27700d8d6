"""Mixed precision: which arithmetic a step uses and how gradients are kept from underflowing."""

from __future__ import annotations

import logging
from typing import Any, ContextManager, Dict, Optional

import paddle

from ppcls.config.schema import AmpSection
from ppcls.errors import ConfigError
from ppcls.kernels.onednn import Unavailable, library

_log = logging.getLogger("ppcls")


def bfloat16_obstacle() -> str:
    """Return why this CPU does not compute in bfloat16; empty if it does."""
    try:
        has = library().has_bfloat16
    except Unavailable as error:
        return f"the oneDNN of the installed Paddle is of no use: {error}"
    return "" if has else "this processor has neither AVX512_BF16 nor AMX"


def check_cpu(section: AmpSection, kernels: str = "") -> None:
    """Check that a CPU can do what the section asks for.

    Args:
        section: of mixed precision.
        kernels: why the operators that are asked for cannot; empty if they can.

    Raises:
        ConfigError: it cannot.
    """
    if section.dtype != "bfloat16":
        raise ConfigError(
            f"AMP.dtype is {section.dtype}, which needs a GPU; a CPU takes bfloat16: "
            "-o AMP.dtype=bfloat16, or trains in float32: -o AMP=null"
        )
    lacks = kernels or bfloat16_obstacle()
    if lacks:
        raise ConfigError(f"AMP on a CPU computes in bfloat16, and {lacks}; use -o AMP=null")


def possible(section: Optional[AmpSection], device: str, kernels: str = "") -> Optional[AmpSection]:
    """Return the section if a device can do what it asks for; None, with a warning, where the
    section says `use_amp: true`, as files do that were written for GPUs.

    Args:
        section: of mixed precision.
        device: "cpu" or "gpu:N".
        kernels: see `check_cpu`.

    Raises:
        ConfigError: it cannot, and the section does not say so.
    """
    if section is None or device != "cpu":
        return section
    try:
        check_cpu(section, kernels)
    except ConfigError as error:
        if not section.use_amp:
            raise
        _log.warning("AMP has no effect: training is in float32, as %s", error)
        return None
    return section


class Precision:
    """Runs forward passes and updates in float32, or in mixed precision when the section AMP is
    there.

    Micikevicius et al., "Mixed Precision Training", ICLR 2018. bfloat16 has float32's exponent
    range and needs no scaling of the loss.

    On a CPU, the layers themselves compute in bfloat16 while they are trained: see
    `ppcls.arch.acceleration`.

    Raises:
        ConfigError: it is asked for on a CPU that lacks the arithmetic.
    """

    def __init__(self, section: Optional[AmpSection], device: str) -> None:
        self.section = section = possible(section, device)
        self._casts = section is not None and device != "cpu"
        scaled = section is not None and section.dtype == "float16"
        self.scaler = paddle.amp.GradScaler(
            enable=scaled,
            init_loss_scaling=section.scale_loss if section else 1.0,
            use_dynamic_loss_scaling=bool(section and section.use_dynamic_loss_scaling),
        )

    def forward(self) -> ContextManager[Any]:
        """Return the context in which a forward pass and its loss are computed."""
        if self.section is None or not self._casts:
            return paddle.amp.auto_cast(enable=False)
        return paddle.amp.auto_cast(level=self.section.level, dtype=self.section.dtype)

    def backward(self, loss: paddle.Tensor) -> None:
        """Compute gradients, scaled when float16 is used."""
        (self.scaler.scale(loss) if self.scaler.is_enable() else loss).backward()

    def update(self, optimizer: Any) -> None:
        """Apply the gradients; a step whose scaled gradients overflow is left out."""
        if self.scaler.is_enable():
            self.scaler.step(optimizer.inner)
            self.scaler.update()
        else:
            optimizer.step()

    def state(self) -> Dict[str, Any]:
        """Return the scaling's state as plain numbers."""
        if not self.scaler.is_enable():
            return {}
        found = self.scaler.state_dict()
        return {key: getattr(value, "tolist", lambda v=value: v)() for key, value in found.items()}

    def load_state(self, state: Dict[str, Any]) -> None:
        """Take back what `state` returned."""
        if state and self.scaler.is_enable():
            arrays = {
                key: paddle.to_tensor(v) if isinstance(v, list) else v for key, v in state.items()
            }
            self.scaler.load_state_dict(arrays)
