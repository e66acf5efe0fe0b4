"""Runs one case in PyTorch and diffusers for run.ts, as sumi-worker.ts does in Sumi.

    python bench/performance/torch_worker.py 'CASE AS JSON' CHECKPOINT VARIANT

VARIANT: eager, channels_last, bf16 (autocast, channels_last) or compile (torch.compile, channels_last).
"""

import contextlib
import importlib.util
import json
import os
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

case, checkpoint, variant = json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
torch.set_num_threads(len(os.sched_getaffinity(0)))
layout = torch.contiguous_format if variant == "eager" else torch.channels_last
precision = (lambda: torch.autocast("cpu", torch.bfloat16)) if variant == "bf16" else contextlib.nullcontext


def wave(n, c, h, w):
    k = torch.arange(n * c * h * w, dtype=torch.float64)
    return torch.sin(12.9898 * k).reshape(n, c, h, w).float().contiguous(memory_format=layout)


def summary(x):
    x = x.double()
    return [x.mean().item(), x.square().mean().sqrt().item()]


def prepared(network):
    network = network.to(memory_format=layout)
    return torch.compile(network) if variant == "compile" else network


def diffusers_model(name, folder):
    import diffusers

    return getattr(diffusers, name).from_pretrained(checkpoint / folder, torch_dtype=torch.float32)


def classic_model():
    """The network of the parity fixtures, with the checkpoint's weights."""
    from safetensors.torch import load_file

    record = Path(__file__).parents[2] / "test/fixtures/models/record.py"
    spec = importlib.util.spec_from_file_location("record", record)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = json.loads((checkpoint / "config.json").read_text())
    network = module.ClassicUNet(
        config["n_channels"], config["n_classes"], config["base"], config["levels"], config["conv_bias"]
    )
    network.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    return network


def forward(network, call):
    network.eval()
    network = prepared(network)

    def run():
        with torch.inference_mode(), precision():
            return call(network)

    return run, lambda: summary(run())


def training(network, call, target):
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-6, fused=True)
    parameters = list(network.parameters())
    ema = [p.detach().clone() for p in parameters]
    network = prepared(network)

    def run():
        with precision():
            loss = F.mse_loss(call(network).float(), target)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(ema, parameters, 0.001)
        return [loss.item(), norm.item()]

    return run, run


def unet_work():
    network = diffusers_model("UNet2DModel", "unet")
    config, batch = network.config, case["batch"]
    sample = wave(batch, config.in_channels, config.sample_size, config.sample_size)
    timesteps = 900.0 - torch.arange(batch)
    labels = torch.arange(batch) % 8 if config.num_class_embeds else None
    call = lambda net: net(sample, timesteps, class_labels=labels, return_dict=False)[0]
    return forward(network, call) if case["task"] == "predict" else training(network, call, sample)


def autoencoder_work():
    network = diffusers_model("AutoencoderKL", "vqvae")
    config, batch = network.config, case["batch"]
    side = config.sample_size
    if case["task"] == "encode":
        # The mean alone, as Sumi's side: the first half of the channels.
        network.forward = lambda x: network._encode(x)[:, : config.latent_channels]
        x = wave(batch, 3, side, side)
    else:
        network.forward = lambda x: network._decode(x, return_dict=False)[0]
        side //= 2 ** (len(config.block_out_channels) - 1)
        x = wave(batch, config.latent_channels, side, side)
    return forward(network, lambda net: net(x))


def classic_work():
    network = classic_model()
    x = wave(case["batch"], 3, case["size"], case["size"])
    call = lambda net: net(x)
    return forward(network, call) if case["task"] == "predict" else training(network, call, x[:, :2])


def sample_work():
    from diffusers import DDIMScheduler

    network = diffusers_model("UNet2DModel", "unet").eval()
    decoder = diffusers_model("AutoencoderKL", "vqvae").eval()
    scheduler = DDIMScheduler.from_pretrained(checkpoint / "scheduler")
    config = network.config
    nothing = config.num_class_embeds - 1
    network = prepared(network)
    decoder.decoder = prepared(decoder.decoder)

    def run():
        latents = torch.randn(
            1, config.in_channels, config.sample_size, config.sample_size, generator=torch.Generator().manual_seed(1)
        )
        scheduler.set_timesteps(50)
        labels = torch.tensor([0, nothing])
        with torch.inference_mode(), precision():
            for t in scheduler.timesteps:
                both = latents.expand(2, -1, -1, -1).contiguous(memory_format=layout)
                given, plain = network(both, t, class_labels=labels, return_dict=False)[0].float().chunk(2)
                latents = scheduler.step(plain + 2 * (given - plain), t, latents).prev_sample
            picture = decoder.decode(latents / decoder.config.scaling_factor).sample.float()
        return (picture[0].permute(1, 2, 0).clamp(-1, 1) * 127.5 + 127.5).round().byte().numpy()

    def probe():
        picture = run()
        if case.get("out"):
            from PIL import Image

            Image.fromarray(picture).save(case["out"])
        return []

    return run, probe


opened = time.perf_counter()
if case["task"] == "sample":
    run, probe = sample_work()
else:
    run, probe = {"unet": unet_work, "autoencoder": autoencoder_work, "classic": classic_work}[case["kind"]]()
numbers = probe()
print(json.dumps({"buildMs": 1000 * (time.perf_counter() - opened), "probe": numbers}), flush=True)
for line in sys.stdin:
    ms = []
    for _ in range(int(line)):
        start = time.perf_counter()
        run()
        ms.append(1000 * (time.perf_counter() - start))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"ms": ms, "rssMb": rss}), flush=True)
