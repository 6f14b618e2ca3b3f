"""Hardware support of bfloat16"""

from __future__ import annotations

import torch


def supports_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are those of a processor, not an emulation

    On processors that do not know it (x86 without AVX-512, for instance), they take seven times as
    long as those in single precision.
    """
    if device.type != "cpu":
        return True
    known = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return known is None or known()
