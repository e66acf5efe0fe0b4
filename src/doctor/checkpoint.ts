/** `sumi doctor MODEL`: what is wrong with a checkpoint, all of it at once. */
import path from 'node:path';
import { openAutoencoder } from '../autoencoder/index.js';
import { readBareComponent } from '../checkpoint/component.js';
import { readJsonObject } from '../checkpoint/json.js';
import { type PipelineDir, REFINER_FOLDER, readPipelineDir } from '../checkpoint/pipeline.js';
import { isFile } from '../files/index.js';
import { checkChannels, findModel, labelsOf } from '../pipelines/model.js';
import { isDiffusion } from '../schedulers/index.js';
import { openUNet, parseUNet2DConfig, type UNetNetwork, unet2dSpecs } from '../unet/index.js';
import { examineFiles } from './files.js';
import { type Finding, Findings } from './findings.js';
import { examineScheduler } from './scheduler.js';
import { examineSingle } from './single.js';
import { examineText } from './text.js';
import { examineTraining } from './training.js';
import { tryAutoencoder, tryNetwork } from './trial.js';
import { examineWeights } from './weights.js';

export interface CheckpointExamination {
  readonly model: string;
  /** Folder that was examined. */
  readonly path: string;
  /** Whether nothing was found that keeps it from drawing. */
  readonly draws: boolean;
  readonly findings: readonly Finding[];
  /** Standard deviations that were measured; null where it did not come to that. */
  readonly measured: { readonly scaledLatents: number | null; readonly prediction: number | null };
}

export interface ExamineOptions {
  readonly threads?: number;
}

/** Components under another class in model_index.json than in their own configs. */
async function compareIndex(pipeline: PipelineDir, findings: Findings): Promise<void> {
  const file = path.join(pipeline.dir, 'model_index.json');
  if (!(await isFile(file))) return;
  const index = await readJsonObject(file);
  const { unet, scheduler, autoencoder, textEncoder, tokenizer } = pipeline;
  const own: [string, string | undefined][] = [
    ['unet', unet.className],
    ['scheduler', scheduler?.className],
    ...(['vqvae', 'vae'] as const).map((folder): [string, string | undefined] => [
      folder,
      autoencoder?.folder === folder ? autoencoder.className : undefined,
    ]),
    ['text_encoder', textEncoder?.className],
  ];
  if (tokenizer === null && Array.isArray(index.tokenizer) && typeof index.tokenizer[1] === 'string')
    findings.error('files', `tokenizer is listed, and has no folder — ${file} — copy the whole checkpoint`);
  for (const [name, className] of own) {
    const entry = index[name];
    const listed = Array.isArray(entry) ? entry[1] : null;
    if (className !== undefined && listed !== className)
      findings.warn(
        'config',
        `${name} is a ${className}, and ${listed === null || listed === undefined ? 'not listed' : `listed as ${listed}`} — ${file} — make them agree`,
      );
    if (className === undefined && typeof listed === 'string')
      findings.error(
        'files',
        `${name} is listed, and its folder has no config — ${file} — copy the whole checkpoint`,
      );
  }
}

/** Labels that can be told apart, and that the network has. */
async function examineLabels(
  { sumi, dir }: PipelineDir,
  unet: UNetNetwork['config'],
  findings: Findings,
): Promise<void> {
  const where = path.join(dir, 'sumi.json');
  const found = await findings.attempt('labels', () => labelsOf(sumi, unet, dir));
  const names = Array.isArray(sumi.labels) ? sumi.labels.map(String) : [];
  if (found && found.labels.length === 0 && names.length > 0)
    findings.warn('labels', `${names.length} labels for a network without classes — ${where} — remove them`);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined)
    findings.warn('labels', `two labels are called ${twice} — ${where} — only the first can be named`);
}

async function examineNetworks(
  pipeline: PipelineDir,
  { threads }: ExamineOptions,
  findings: Findings,
): Promise<CheckpointExamination['measured']> {
  const { dir, unet: component, autoencoder: coder } = pipeline;
  const network = await findings.attempt('config', () =>
    openUNet(component.className, component.config, path.join(dir, 'unet')),
  );
  const coderNetwork =
    coder &&
    (await findings.attempt('config', () =>
      openAutoencoder(coder.className, coder.config, path.join(dir, coder.folder)),
    ));
  const scheduler = await examineScheduler(pipeline, network, findings);
  const unet = network?.config ?? null;
  // Without the autoencoder's config there is nothing to compare the channels with.
  if (unet && (coderNetwork || !coder))
    await findings.attempt('config', () => checkChannels(unet, coderNetwork, dir));
  if (unet) await examineLabels(pipeline, unet, findings);

  const unetParams = network && (await examineWeights(network.specs, component.weights, findings));
  const params = coderNetwork && coder && (await examineWeights(coderNetwork.specs, coder.weights, findings));
  const { refiner } = pipeline;
  if (refiner) {
    const config = await findings.attempt('config', () =>
      parseUNet2DConfig(refiner.config, path.join(dir, REFINER_FOLDER)),
    );
    if (config) await examineWeights(unet2dSpecs(config), refiner.weights, findings);
  }
  let [scaledLatents, prediction]: (number | null)[] = [null, null];
  if (unet && coderNetwork && coder && params) {
    const where = path.join(dir, coder.folder, 'config.json');
    const model = { unet, autoencoder: { network: coderNetwork, params } };
    scaledLatents = await tryAutoencoder(model, where, threads, findings);
  }
  const wanted = network?.textChannels ?? null;
  const prompts = wanted === null ? null : await examineText(pipeline, wanted, threads, findings);
  try {
    const told = wanted === null || prompts !== null;
    if (network && unetParams && scheduler?.timesteps.length && told && unet?.class_embed_type === null) {
      const schedulerConfig = path.join(dir, 'scheduler', 'scheduler_config.json');
      const model = { network, unetParams };
      const context = { prompts, schedulerConfig };
      const { timesteps } = scheduler;
      const tried = isDiffusion(scheduler) ? scheduler : { timesteps };
      prediction = await tryNetwork(model, tried, component.weights, threads, findings, context);
    }
  } finally {
    await prompts?.dispose();
  }
  return { scaledLatents, prediction };
}

/**
 * Looks a checkpoint over: files, configs, weights, scheduler, labels, and short runs of its networks.
 * @param nameOrDir a checkpoint, a run (whose model is examined), the name of a shipped model, or a network by itself
 * @throws InputError when there is no such model at all
 */
export async function examineCheckpoint(
  nameOrDir: string,
  options: ExamineOptions = {},
): Promise<CheckpointExamination> {
  const dir = await findModel(nameOrDir);
  const findings = new Findings();
  const broken = findings.list.length;
  const single = await findings.attempt('files', () => readBareComponent(dir));
  const whole = single === null && findings.list.length === broken;
  const pipeline = whole ? await findings.attempt('files', () => readPipelineDir(dir)) : null;
  await examineTraining(dir, findings);
  await examineFiles(pipeline?.dir ?? dir, findings);
  let measured: CheckpointExamination['measured'] = { scaledLatents: null, prediction: null };
  if (single) measured = await examineSingle(single, options.threads, findings);
  if (pipeline) {
    await findings.attempt('config', () => compareIndex(pipeline, findings));
    measured = await examineNetworks(pipeline, options, findings);
  }
  return {
    model: nameOrDir,
    path: pipeline?.dir ?? dir,
    draws: findings.list.every((f) => f.severity !== 'error'),
    findings: findings.list,
    measured,
  };
}
