/** What is measured: cases.json, which the PyTorch side reads as well, and the checkpoints that both sides load. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { saveParams } from '../../src/checkpoint/load.js';
import { writePipelineDir } from '../../src/checkpoint/write.js';
import { countParams, initParams } from '../../src/engine/params.js';
import { makeFolder } from '../../src/files/index.js';
import { Random } from '../../src/random.js';
import {
  classicUNetSpecs,
  parseClassicUNetConfig,
  parseUNet2DConfig,
  UNET2D_CLASS_NAME,
  type UNet2DConfigInput,
  unet2dSpecs,
} from '../../src/unet/index.js';

export interface Case {
  readonly name: string;
  readonly network: string;
  readonly kind: 'unet' | 'autoencoder' | 'classic';
  readonly task: 'predict' | 'train' | 'encode' | 'decode' | 'sample';
  readonly batch: number;
  /** Runs in a row, in each round. */
  readonly runs: number;
  readonly size?: number;
}

interface Network {
  readonly kind: Case['kind'];
  /** A checkpoint that exists; else one with random weights is written. */
  readonly from?: string;
  readonly model?: UNet2DConfigInput;
  readonly size?: number;
}

interface Plan {
  readonly networks: Readonly<Record<string, Network>>;
  readonly cases: readonly Omit<Case, 'kind' | 'size'>[];
  readonly scaling: { readonly pixels: number[]; readonly batch: number[]; readonly parameters: number[] };
}

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const plan: Plan = JSON.parse(readFileSync(join(root, 'bench/performance/cases.json'), 'utf8'));

export const cases: readonly Case[] = plan.cases.map((c) => {
  const { kind, size } = plan.networks[c.network];
  return { ...c, kind, ...(size === undefined ? {} : { size }) };
});

/** The checkpoint of a network, written to `out` if it is one with random weights. */
export async function checkpointOf(name: string, out: string): Promise<string> {
  const network = plan.networks[name];
  if (network.from) return join(root, network.from);
  const dir = join(out, name);
  if (network.kind === 'classic') {
    const config = parseClassicUNetConfig(network.model);
    const specs = classicUNetSpecs(config);
    await makeFolder(dir);
    await writeFile(join(dir, 'config.json'), JSON.stringify(config));
    await saveParams(specs, initParams(specs, new Random(0)), join(dir, 'model.safetensors'));
  } else await writeUNet(dir, network.model ?? {});
  return dir;
}

/** @returns the number of parameters */
export async function writeUNet(dir: string, model: UNet2DConfigInput): Promise<number> {
  const config = parseUNet2DConfig(model);
  const specs = unet2dSpecs(config);
  await writePipelineDir(dir, {
    unet: {
      className: UNET2D_CLASS_NAME,
      config,
      weights: { specs, params: initParams(specs, new Random(0)) },
    },
    scheduler: { className: 'DDIMScheduler', config: { num_train_timesteps: 1000 } },
  });
  return countParams(specs);
}
