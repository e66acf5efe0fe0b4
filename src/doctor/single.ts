/** A network by itself: what can be said of it without the rest of its pipeline. */
import { openAutoencoder } from '../autoencoder/index.js';
import type { BareComponent } from '../checkpoint/component.js';
import { openUNet, parseUNet2DConfig } from '../unet/index.js';
import type { Findings } from './findings.js';
import { examineTextEncoder } from './text.js';
import { tryAutoencoder, tryNetwork } from './trial.js';
import { examineWeights } from './weights.js';

/** Side of the latents that an autoencoder is tried with. */
const LATENTS = 16;

/** Timesteps of nearly every schedule. */
const TIMESTEPS = [500];

/** Config, weights and a short run. @returns what was measured, as of a pipeline */
export async function examineSingle(
  { dir, folder, className, config, weights }: BareComponent,
  threads: number | undefined,
  findings: Findings,
): Promise<{ scaledLatents: number | null; prediction: number | null }> {
  const nothing = { scaledLatents: null, prediction: null };
  if (folder === 'text_encoder') {
    await examineTextEncoder({ className, config, weights }, dir, findings);
    return nothing;
  }
  if (folder === 'unet') {
    const network = await findings.attempt('config', () => openUNet(className, config, dir));
    const unetParams = network && (await examineWeights(network.specs, weights, findings));
    // Without its text encoder there is nothing to tell a network that wants to be told something.
    if (!network || !unetParams || network.textChannels !== null || network.config.class_embed_type !== null)
      return nothing;
    const known = await findings.attempt('network', () => network.checkTimesteps(TIMESTEPS, dir));
    if (known === null) return nothing;
    const tried = await tryNetwork(
      { network, unetParams },
      { timesteps: TIMESTEPS },
      weights,
      threads,
      findings,
    );
    return { ...nothing, prediction: tried };
  }
  const network = await findings.attempt('config', () => openAutoencoder(className, config, dir));
  const params = network && (await examineWeights(network.specs, weights, findings));
  if (!network || !params) return nothing;
  const { latentChannels: channels } = network;
  // What a UNet for it would be: trials ask a model for its size and channels.
  const unet = parseUNet2DConfig({ in_channels: channels, out_channels: channels, sample_size: LATENTS });
  const model = { unet, autoencoder: { network, params } };
  return { ...nothing, scaledLatents: await tryAutoencoder(model, dir, threads, findings) };
}
