import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor, type Tensor2D, type Tensor3D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { activation } from '../unet/activations.js';
import { embeddingLookup } from '../unet/embeddings.js';
import { headedAttention } from '../unet/heads.js';
import { dense, linearSpecs, normSpecs, param, tokenNorm } from '../unet/layers.js';
import type { ClipTextConfig } from './config.js';

const PREFIX = 'text_model.';
const TOKENS = `${PREFIX}embeddings.token_embedding.weight`;
const POSITIONS = `${PREFIX}embeddings.position_embedding.weight`;

/** Far below any score, and far from where float32 ends. */
const HIDDEN = -1e30;

const layerNames = (config: ClipTextConfig): string[] =>
  Array.from({ length: config.num_hidden_layers }, (_, i) => `${PREFIX}encoder.layers.${i}`);

/** The parameters of a CLIP text encoder, in transformers' names and shapes. */
export function clipTextSpecs(config: ClipTextConfig): ParamSpec[] {
  const { hidden_size: width, intermediate_size: wide } = config;
  const table = (name: string, rows: number): ParamSpec => ({
    name,
    shape: [rows, width],
    init: { normal: 0.02 },
  });
  return [
    table(TOKENS, config.vocab_size),
    table(POSITIONS, config.max_position_embeddings),
    ...layerNames(config).flatMap((layer) => [
      ...normSpecs(`${layer}.layer_norm1`, width),
      ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((which) =>
        linearSpecs(`${layer}.self_attn.${which}`, width, width),
      ),
      ...normSpecs(`${layer}.layer_norm2`, width),
      ...linearSpecs(`${layer}.mlp.fc1`, width, wide),
      ...linearSpecs(`${layer}.mlp.fc2`, wide, width),
    ]),
    ...normSpecs(`${PREFIX}final_layer_norm`, width),
  ];
}

/**
 * The name by which `clipTextSpecs` knows a stored tensor: transformers 5 writes no prefix, older releases wrote the
 * positions' own numbers along.
 * @returns null for a tensor that is not a parameter
 */
export function clipTextName(stored: string): string | null {
  if (stored.endsWith('embeddings.position_ids')) return null;
  return /^(embeddings|encoder|final_layer_norm)\./.test(stored) ? PREFIX + stored : stored;
}

/**
 * The text encoder of CLIP (Radford et al. 2021, section 2.4; transformers' CLIPTextModel): a transformer whose tokens
 * see those before them.
 * @param params by the names of `clipTextSpecs(config)`
 * @param ids int32 [N, T], each in [0, vocab_size); T at most max_position_embeddings. Values are not read.
 * @returns `last_hidden_state`: every token after the last norm, [N, T, hidden_size]
 * @throws InputError for shapes that do not fit, or a missing parameter
 */
export function clipText(config: ClipTextConfig, params: Params, ids: Tensor2D): Tensor3D {
  const { hidden_size: width, max_position_embeddings: longest, layer_norm_eps: eps } = config;
  const [n, tokens] = ids.shape;
  if (ids.rank !== 2 || ids.dtype !== 'int32' || tokens > longest) {
    throw new InputError(
      `ids of shape [${ids.shape}] and dtype ${ids.dtype} — CLIP text encoder — give int32 [N, T], T at most ${longest}`,
    );
  }
  return tf.tidy(() => {
    const looked = embeddingLookup(param(params, TOKENS), tf.reshape(ids, [-1])); // [N·T, C]
    const places = tf.slice(param<Tensor2D>(params, POSITIONS), [0, 0], [tokens, -1]);
    let h = tf.add(tf.reshape(looked, [n, tokens, width]), places) as Tensor3D; // [N, T, C]
    const mask = causalMask(tokens);
    for (const layer of layerNames(config)) {
      const normed = (which: string) => tokenNorm(params, `${layer}.${which}`, h, eps);
      h = tf.add(h, attend(config, params, `${layer}.self_attn`, normed('layer_norm1'), mask)) as Tensor3D;
      const inner = act(config, dense(params, `${layer}.mlp.fc1`, normed('layer_norm2')));
      h = tf.add(h, dense(params, `${layer}.mlp.fc2`, inner)) as Tensor3D;
    }
    return tokenNorm(params, `${PREFIX}final_layer_norm`, h, eps);
  });
}

/** [T, T]: 0 where a token (row) may look, at itself and what is before it. */
function causalMask(tokens: number): Tensor2D {
  const values = Float32Array.from({ length: tokens * tokens }, (_, i) =>
    i % tokens > Math.floor(i / tokens) ? HIDDEN : 0,
  );
  return tf.tensor2d(values, [tokens, tokens]);
}

function attend(config: ClipTextConfig, params: Params, name: string, x: Tensor3D, mask: Tensor2D): Tensor3D {
  const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((which) => dense(params, `${name}.${which}`, x));
  return dense(params, `${name}.out_proj`, headedAttention(q, k, v, config.num_attention_heads, mask));
}

/** GELU, or CLIP's quick approximation x·σ(1.702·x) (Hendrycks & Gimpel 2016, section 2). */
function act<T extends Tensor>({ hidden_act: name }: ClipTextConfig, x: T): T {
  return name === 'gelu' ? activation('gelu', x) : tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)));
}
