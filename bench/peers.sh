#!/usr/bin/env bash
# The peers that the benchmarks and the interoperability checks stand beside, in an environment of their own.
set -euo pipefail
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet torch==2.13.0 diffusers==0.42.1 transformers safetensors pillow scipy
