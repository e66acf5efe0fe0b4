"""Opens what stable-diffusion.ts wrote with real diffusers and transformers, draws, and compares the pictures.

    python bench/interop/stable-diffusion.py OUT
"""

import os
import sys

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file
from transformers import CLIPTextModel

torch.set_num_threads(1)
out = sys.argv[1]
TOLD = dict(prompt="a photo of the cat", negative_prompt="the dog", guidance_scale=5.0, num_inference_steps=5)


def compare(name, answer, expected):
    error = (answer - expected).abs().max().item()
    print(f"{name:22} max abs error {error:.1e}")
    assert error < 1e-4, name


def inpainted(pipeline, check):
    """The loop of the inpainting pipeline, with latents of the mask and of what is kept as they were recorded."""
    told, untold = pipeline.encode_prompt(TOLD["prompt"], "cpu", 1, True, TOLD["negative_prompt"])
    latents = check["noise"]
    pipeline.scheduler.set_timesteps(TOLD["num_inference_steps"])
    for t in pipeline.scheduler.timesteps:
        seen = torch.cat([latents, check["beside"]], 1).repeat(2, 1, 1, 1)
        without, given = pipeline.unet(seen, t, torch.cat([untold, told])).sample.chunk(2)
        predicted = without + TOLD["guidance_scale"] * (given - without)
        latents = pipeline.scheduler.step(predicted, t, latents).prev_sample
    return latents


with torch.no_grad():
    for name in sorted(os.listdir(out)):
        if "-" not in name:
            continue
        path = os.path.join(out, name)
        kind = StableDiffusionInpaintPipeline if name.startswith("paint") else StableDiffusionPipeline
        opened = DiffusionPipeline.from_pretrained(path, torch_dtype=torch.float32)
        assert type(opened) is kind, type(opened)
        for part, network in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL), ("text_encoder", CLIPTextModel)):
            _, info = network.from_pretrained(path, subfolder=part, output_loading_info=True)
            assert not any(info.values()), (part, info)
        opened.scheduler = DDIMScheduler.from_config(opened.scheduler.config, clip_sample=False)
        opened.set_progress_bar_config(disable=True)
        check = load_file(os.path.join(path, "check.safetensors"))
        if kind is StableDiffusionPipeline:
            latents = opened(latents=check["noise"], height=32, width=32, output_type="latent", **TOLD).images
        else:
            latents = inpainted(opened, check)
        compare(f"{name} latents", latents, check["sample"])
        picture = opened.vae.decode(latents / opened.vae.config.scaling_factor).sample
        compare(f"{name} picture", picture, check["picture"])
    for part, network in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL), ("text_encoder", CLIPTextModel)):
        _, info = network.from_pretrained(os.path.join(out, part), output_loading_info=True)
        assert not any(info.values()), (part, info)
        print(f"{part} by itself opens")
print("diffusers opens all of them and draws the same pictures")
