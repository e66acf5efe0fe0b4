/** The scheduler against the network and against what training's recipe says. */
import path from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import type { PipelineDir } from '../checkpoint/pipeline.js';
import { EDM_PREDICTION } from '../diffusion/index.js';
import { defaultsOf } from '../pipelines/model.js';
import {
  drawingSampler,
  EDM,
  isDiffusion,
  processOf,
  SAMPLERS,
  type Sampler,
  type Scheduler,
} from '../schedulers/index.js';
import type { UNetNetwork } from '../unet/index.js';
import type { Findings } from './findings.js';

/** ᾱ of the last timestep that counts as none, and one that leaves a picture visible in the noise. */
const ZERO = 1e-6;
const VISIBLE = 0.05;

/** What training fixes and sampling must know. */
const SHARED = ['prediction_type', 'num_train_timesteps', 'beta_start', 'beta_end', 'beta_schedule'] as const;

/** Keys without a default, and those of schedulers that Sumi does not have. */
const FURTHER = [
  'sigma_min',
  'sigma_max',
  'rho',
  'lambda_min_clipped',
  'variance_type',
  'timestep_type',
  'predict_x0',
  'solver_p',
  'disable_corrector',
  'use_flow_sigmas',
  'flow_shift',
  'use_dynamic_shifting',
  'time_shift_type',
  'shift_terminal',
  'trained_betas',
];

function knownKeys(): Set<string> {
  const configs = SAMPLERS.map((Class) => Object.keys(new Class({}).config));
  return new Set([...configs.flat(), ...FURTHER]);
}

const objectAt = (object: JsonObject, ...keys: string[]): JsonObject =>
  keys.reduce<JsonObject>((at, key) => {
    const next = at[key];
    return typeof next === 'object' && next !== null && !Array.isArray(next) ? next : {};
  }, object);

/** @returns the scheduler with its timesteps set; null when it cannot be made */
export async function examineScheduler(
  pipeline: PipelineDir,
  network: UNetNetwork | null,
  findings: Findings,
): Promise<Sampler | null> {
  const { scheduler: component, sumi, dir } = pipeline;
  if (!component) {
    findings.error(
      'scheduler',
      `no scheduler — ${dir} — name the whole pipeline directory, which has scheduler/scheduler_config.json`,
    );
    return null;
  }
  const where = path.join(dir, 'scheduler', 'scheduler_config.json');
  const json: JsonObject = { ...component.config, _class_name: component.className };
  const defaults = defaultsOf(sumi, 1);
  const made = await findings.attempt('scheduler', () => drawingSampler(json));
  if (!made) return null;
  if (defaults.scheduler !== undefined)
    await findings.attempt('scheduler', () => drawingSampler(json, defaults.scheduler));

  const known = knownKeys();
  for (const key of Object.keys(component.config)) {
    if (!key.startsWith('_') && !known.has(key))
      findings.warn('scheduler', `unknown key "${key}" — ${where} — remove it or mend its spelling`);
  }
  const recipe = objectAt(sumi, 'recipe', 'config', 'diffusion');
  compareWithRecipe(made, recipe, where, findings);
  if (isDiffusion(made)) checkTerminalNoise(made, recipe, where, findings);

  const { num_train_timesteps: T } = made.config;
  await findings.attempt('scheduler', () => made.setTimesteps(Math.min(defaults.steps, T)));
  if (network) {
    const unet = network.config;
    await findings.attempt('scheduler', () => network.checkTimesteps(made.timesteps, where));
    if (unet.time_embedding_type === 'learned' && unet.num_train_timesteps !== T)
      findings.warn(
        'scheduler',
        `num_train_timesteps is ${T}, the network has learned ${unet.num_train_timesteps} — ${where} — make them equal`,
      );
  }
  return made;
}

const isEDM = (made: Sampler): boolean => processOf(made.toConfig()) === EDM;

function compareWithRecipe(made: Sampler, recipe: JsonObject, where: string, findings: Findings): void {
  for (const key of SHARED) {
    // EDM's schedulers call the network's own output "epsilon".
    const own = key === 'prediction_type' && recipe[key] === EDM_PREDICTION && isEDM(made);
    const [given, trained] = [made.config[key], own ? 'epsilon' : recipe[key]];
    if (given !== undefined && trained !== undefined && given !== trained)
      findings.error(
        'scheduler',
        `${key} is ${given}, the recipe in sumi.json has ${trained} — ${where} — set it to what the model was trained with`,
      );
  }
}

/** Whether sampling starts where training ended: at noise and nothing else. */
function checkTerminalNoise(made: Scheduler, recipe: JsonObject, where: string, findings: Findings): void {
  const { config, alphasCumprod } = made;
  const rescaled = config.rescale_betas_zero_snr === true;
  const claimed = rescaled || recipe.rescale_betas_zero_snr === true;
  const last = alphasCumprod[alphasCumprod.length - 1];
  if (claimed && last > ZERO)
    findings.error(
      'scheduler',
      `the last alpha is ${last.toPrecision(2)}, and zero terminal SNR is claimed — ${where} — set rescale_betas_zero_snr`,
    );
  else if (last > VISIBLE)
    findings.warn(
      'scheduler',
      `the last alpha is ${last.toPrecision(2)}: sampling starts from noise that training never reached — ${where} — check the betas and num_train_timesteps`,
    );
  if (rescaled && config.prediction_type === 'epsilon')
    findings.error(
      'scheduler',
      `zero terminal SNR with a prediction of epsilon, which says nothing there — ${where} — use v_prediction, or turn rescale_betas_zero_snr off`,
    );
  if (rescaled && config.timestep_spacing === 'leading')
    findings.warn(
      'scheduler',
      `zero terminal SNR with timestep_spacing "leading", which never visits the last timestep — ${where} — use "trailing"`,
    );
}
