"""The recipe of diffusers' examples/unconditional_image_generation/train_unconditional.py, written anew from its
documented defaults, without accelerate, datasets and torchvision: UNet2DModel of six levels with attention at the fifth,
DDPM of 1000 linear steps, epsilon, AdamW (1e-4, betas 0.95 and 0.999, decay 1e-6), batch 16, gradients clipped to 1,
cosine after 500 steps of warm-up, EMA with the power 3/4. Its augmentation is off, as by default.

Two things are not the example's: training ends when the process has used its CPU seconds, and the warm-up is a tenth of
the steps at most, without which a short run would never leave it.

A settings file for UNet2DModel (the example's --model_config_name_or_path) gives it another network.

    python train_unconditional.py DATA OUT SIZE SEED CPU_SECONDS [NETWORK.json]
"""
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from PIL import Image, ImageOps

data, out, size, seed, budget = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
BATCH, RATE, WARM_UP, CALIBRATION = 16, 1e-4, 500, 3
torch.manual_seed(seed)


def read(file):
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return np.asarray(ImageOps.fit(image, (size, size), Image.BILINEAR), np.uint8)


EXTENSIONS = {".png", ".jpg", ".jpeg", ".webp"}
files = sorted(f for f in Path(data).rglob("*") if f.suffix.lower() in EXTENSIONS)
pictures = torch.from_numpy(np.stack([read(f) for f in files])).permute(0, 3, 1, 2)

attention = 4
network = {
    "layers_per_block": 2,
    "block_out_channels": (128, 128, 256, 256, 512, 512),
    "down_block_types": ["AttnDownBlock2D" if i == attention else "DownBlock2D" for i in range(6)],
    "up_block_types": ["AttnUpBlock2D" if i == 5 - attention else "UpBlock2D" for i in range(6)],
}
if len(sys.argv) > 6:
    network = json.loads(Path(sys.argv[6]).read_text())
model = UNet2DModel(sample_size=size, in_channels=3, out_channels=3, **network)
noise_scheduler = DDPMScheduler(num_train_timesteps=1000)
optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8)
ema = EMAModel(model.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=3 / 4)


def batches():
    while True:
        for indices in torch.randperm(len(pictures)).split(BATCH):
            yield pictures[indices].float() / 127.5 - 1


def rate(step, steps):
    warm_up = min(WARM_UP, steps // 10)
    if step < warm_up:
        return RATE * step / warm_up
    return RATE * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


# CPU seconds of all threads, of the imports too.
steps, step, began, losses = None, 0, None, []
for clean in batches():
    if steps is not None and (step >= steps or time.process_time() > budget):
        break
    for group in optimizer.param_groups:
        # Until the pace is known, the run is in its warm-up.
        group["lr"] = rate(step + 1, steps or 10 * WARM_UP)
    noise = torch.randn_like(clean)
    timesteps = torch.randint(0, 1000, (len(clean),))
    loss = F.mse_loss(model(noise_scheduler.add_noise(clean, noise, timesteps), timesteps).sample, noise)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    ema.step(model.parameters())
    losses.append(loss.item())
    step += 1
    if step == 1:
        began = time.process_time()
    if step == 1 + CALIBRATION:
        pace = (time.process_time() - began) / CALIBRATION
        steps = step + max(0, int((budget - time.process_time()) / pace))
        print(f"{pace:.1f} CPU s a step, so {steps} steps", file=sys.stderr, flush=True)
used = time.process_time()
ema.copy_to(model.parameters())
DDPMPipeline(unet=model, scheduler=noise_scheduler).save_pretrained(out)
recent = losses[-50:]
print(
    json.dumps(
        {
            "cpuSeconds": used,
            "steps": step,
            "loss": sum(recent) / len(recent),
            "parameters": sum(p.numel() for p in model.parameters()),
        }
    )
)
