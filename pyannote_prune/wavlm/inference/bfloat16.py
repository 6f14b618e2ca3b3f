"""Hardware support of bfloat16"""

from __future__ import annotations

import torch


def supports_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices natively

    On processors without bfloat16 (x86 without AVX-512, for instance), it is emulated: products
    take seven times as long as in single precision.
    """
    if device.type != "cpu":
        return True
    is_supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return is_supported is None or is_supported()
