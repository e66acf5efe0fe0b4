"""Opens what checkpoint.ts wrote with real diffusers and compares the networks' answers.

    python bench/interop/checkpoint.py OUT
"""

import json
import os
import sys

import torch
from diffusers import AutoencoderKL, DDIMPipeline, DDPMPipeline, DiffusionPipeline, LDMPipeline, UNet2DModel
from safetensors.torch import load_file

torch.set_num_threads(1)
out = sys.argv[1]
steps = {"num_inference_steps": 2, "output_type": "np"}


def compare(name, answer, expected):
    error = ((answer - expected).abs().max() / expected.abs().max()).item()
    print(f"{name:8} relative error {error:.1e}")
    assert error < 1e-5, name


def check(name):
    recorded = load_file(os.path.join(out, name, "check.safetensors"))
    return recorded["sample"], recorded["answer"]


with torch.no_grad():
    for name, pipeline in [("ddpm", DDPMPipeline), ("ddim", DDIMPipeline), ("half", DDPMPipeline), ("bfloat", DDPMPipeline), ("classes", DDPMPipeline)]:
        path = os.path.join(out, name)
        unet, info = UNet2DModel.from_pretrained(path, subfolder="unet", output_loading_info=True, torch_dtype=torch.float32)
        assert not any(info.values()), info
        config = json.load(open(os.path.join(path, "unet", "config.json")))
        unknown = {k for k in config if not k.startswith("_")} - set(unet.config)
        assert not unknown, unknown
        sample, expected = check(name)
        labels = torch.tensor([0, 2]) if name == "classes" else None
        compare(name, unet(sample, torch.tensor([10, 500]), labels).sample, expected)
        opened = pipeline.from_pretrained(path, torch_dtype=torch.float32)
        assert type(DiffusionPipeline.from_pretrained(path)) is pipeline
        if name != "classes":  # diffusers' unconditional pipelines pass no labels
            opened.set_progress_bar_config(disable=True)
            assert opened(**steps).images.shape == (1, 8, 8, 3)

    path = os.path.join(out, "latents")
    vae, info = AutoencoderKL.from_pretrained(path, subfolder="vqvae", output_loading_info=True)
    assert not any(info.values()), info
    sample, expected = check("latents")
    compare("latents", vae.decode(sample).sample, expected)
    opened = LDMPipeline.from_pretrained(path)
    opened.set_progress_bar_config(disable=True)
    assert opened(**steps).images.shape == (1, 16, 16, 3)
print("diffusers opens all of them")
