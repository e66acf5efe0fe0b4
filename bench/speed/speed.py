"""What speed.ts times, in PyTorch and diffusers: the same network, the same batch, the same step.

    python bench/speed/speed.py
"""

import os
import time
from pathlib import Path
from statistics import median

import torch
from diffusers import UNet2DModel

BATCH = 32
torch.set_num_threads(len(os.sched_getaffinity(0)))
torch.manual_seed(0)
model = UNet2DModel.from_pretrained(Path(__file__).parents[2] / "models/characters/unet", torch_dtype=torch.float32)
side, channels = model.config.sample_size, model.config.in_channels


def timed(what, times, run):
    for _ in range(3):
        run()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(1000 * (time.perf_counter() - start))
    print(f"{what}: median {median(taken):.1f} ms, fastest {min(taken):.1f} ms")


sample = torch.randn(2, channels, side, side)
with torch.inference_mode():
    timed("prediction, 2 rows", 50, lambda: model(sample, 500, class_labels=torch.tensor([1, 8])))

model.train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-6)
ema = [p.detach().clone() for p in model.parameters()]
batch = torch.randn(BATCH, channels, side, side)
labels = torch.arange(BATCH) % 8


def step():
    noise = torch.randn_like(batch)
    timesteps = torch.randint(0, 1000, (BATCH,))
    loss = torch.nn.functional.mse_loss(model(batch + noise, timesteps, class_labels=labels).sample, noise)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        torch._foreach_lerp_(ema, list(model.parameters()), 0.001)


timed(f"training step, batch {BATCH}", 12, step)
