/**
 * Draws with a folder that `sumi export --to onnx` wrote, in any runtime with onnxruntime's interface: a browser with
 * onnxruntime-web, or Node. No other imports, no build step.
 */

/** JSON with Python's infinities, which scheduler configs may hold. */
function parseJson(text) {
  return JSON.parse(
    text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) => (token[0] === '"' ? token : 'null')),
  );
}

/**
 * Opens an exported folder.
 * @param {object} ort the runtime: `import * as ort from 'onnxruntime-web'`
 * @param {(file: string) => Promise<Uint8Array>} read gives a file of the folder
 * @param {object} [options] of `ort.InferenceSession.create`, for instance `{ executionProviders: ['webgpu', 'wasm'] }`
 */
export async function openModel(ort, read, options = {}) {
  const json = async (file) => parseJson(new TextDecoder().decode(await read(file)));
  const session = async (file) => ort.InferenceSession.create(await read(file), options);
  const index = await json('model_index.json');
  const coder = ['vqvae', 'vae'].find((name) => Array.isArray(index[name]) && index[name][1]);
  const { labels = [], null_label: nullLabel = null, defaults = {} } = await json('sumi.json');
  return {
    ort,
    unet: await session('unet.onnx'),
    decoder: coder ? await session('vae_decoder.onnx') : null,
    config: await json('unet/config.json'),
    coder: coder ? await json(`${coder}/config.json`) : null,
    scheduler: await json('scheduler/scheduler_config.json'),
    labels,
    nullLabel,
    defaults: { steps: defaults.steps ?? 50, guidance: defaults.guidance_scale ?? 1 },
  };
}

const linspace = (start, end, n) =>
  Array.from({ length: n }, (_, i) => (n === 1 ? start : start + (i * (end - start)) / (n - 1)));

/** ᾱ_t, what is left of the picture's variance at each training timestep. */
export function alphasOf(config) {
  const {
    num_train_timesteps: T = 1000,
    beta_start = 0.0001,
    beta_end = 0.02,
    beta_schedule = 'linear',
  } = config;
  const cosine = (t) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  const schedules = {
    linear: () => linspace(beta_start, beta_end, T),
    scaled_linear: () => linspace(Math.sqrt(beta_start), Math.sqrt(beta_end), T).map((root) => root ** 2),
    squaredcos_cap_v2: () =>
      Array.from({ length: T }, (_, i) => Math.min(1 - cosine((i + 1) / T) / cosine(i / T), 0.999)),
  };
  const betas = config.trained_betas ?? schedules[beta_schedule]?.();
  if (!betas) throw new Error(`this page does not know the beta_schedule ${beta_schedule}`);
  let product = 1;
  const alphas = betas.map((beta) => {
    product *= 1 - beta;
    return product;
  });
  if (!config.rescale_betas_zero_snr) return alphas;
  const roots = alphas.map(Math.sqrt);
  const [first, last] = [roots[0], roots[T - 1]];
  return roots.map((root) => (((root - last) * first) / (first - last)) ** 2);
}

/** The timesteps of `n` steps, from noise to picture. */
export function timestepsOf(config, n) {
  const { num_train_timesteps: T = 1000, timestep_spacing = 'leading', steps_offset = 0 } = config;
  const all = Array.from({ length: n }, (_, i) => i);
  if (timestep_spacing === 'trailing') return all.map((i) => Math.round(T - (i * T) / n) - 1);
  if (timestep_spacing === 'linspace')
    return linspace(0, T - 1, n)
      .map(Math.round)
      .reverse();
  return all.map((i) => i * Math.floor(T / n) + steps_offset).reverse();
}

/** Standard normal numbers from a seed (mulberry32, Box–Muller). */
export function noiseOf(seed, length) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  return Float32Array.from(
    { length },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

/** One prediction; with guidance the network sees two rows, with the label and without. */
async function predict({ ort, unet, nullLabel, labels }, sample, shape, timestep, label, guidance) {
  const guided = labels.length > 0 && nullLabel !== null && guidance !== 1;
  const rows = guided ? 2 : 1;
  const twice = new Float32Array(rows * sample.length);
  for (let row = 0; row < rows; row++) twice.set(sample, row * sample.length);
  const inputs = {
    sample: new ort.Tensor('float32', twice, [rows, ...shape]),
    timestep: new ort.Tensor('float32', Float32Array.of(timestep), [1]),
  };
  if (unet.inputNames.includes('class_labels')) {
    const classes = guided ? [label, nullLabel] : [label];
    inputs.class_labels = new ort.Tensor('int64', BigInt64Array.from(classes, BigInt), [rows]);
  }
  const { out_sample } = await unet.run(inputs);
  const { data } = out_sample;
  if (!guided) return data;
  const n = sample.length;
  return sample.map((_, i) => data[n + i] + guidance * (data[i] - data[n + i]));
}

/**
 * Draws one picture by DDIM (Song et al. 2021, η = 0).
 * @param {object} model of `openModel`
 * @param {{seed?: number, label?: number, steps?: number, guidance?: number, noise?: Float32Array,
 *   onStep?: (done: number, steps: number) => void}} [options] `noise`: what to start from instead of the seed's
 * @returns {Promise<{data: Uint8ClampedArray, width: number, height: number}>} RGBA, as ImageData takes it
 */
export async function draw(model, options = {}) {
  const { config, scheduler, defaults } = model;
  const { seed = 0, label = 0, steps = defaults.steps, guidance = defaults.guidance, onStep } = options;
  const size = config.sample_size;
  const [h, w] = Array.isArray(size) ? size : [size, size];
  const shape = [config.in_channels, h, w];
  let sample = options.noise ?? noiseOf(seed, config.in_channels * h * w);
  const { num_train_timesteps: T = 1000, clip_sample = true, clip_sample_range = 1 } = scheduler;
  const alphas = alphasOf(scheduler);
  const last = (scheduler.set_alpha_to_one ?? true) ? 1 : alphas[0];
  const timesteps = timestepsOf(scheduler, steps);
  for (const [i, t] of timesteps.entries()) {
    const output = await predict(model, sample, shape, t, label, guidance);
    const before = t - Math.floor(T / steps);
    const [a, b] = [alphas[t], before >= 0 ? alphas[before] : last].map(Math.sqrt);
    const [s, r] = [Math.sqrt(1 - a * a), Math.sqrt(Math.max(0, 1 - b * b))];
    sample = sample.map((x, k) => {
      // The picture and the noise that the prediction stands for: x = a·picture + s·noise.
      let picture = output[k];
      let noise = output[k];
      if (scheduler.prediction_type === 'v_prediction') {
        picture = a * x - s * output[k];
        noise = a * output[k] + s * x;
      } else if (scheduler.prediction_type === 'sample') noise = (x - a * picture) / s;
      else picture = (x - s * noise) / a;
      if (clip_sample) picture = Math.max(-clip_sample_range, Math.min(clip_sample_range, picture));
      return b * picture + r * noise;
    });
    onStep?.(i + 1, steps);
  }
  return toPicture(await decode(model, sample, shape));
}

/** From what the UNet works on to pictures: [channels, height, width] with its shape. */
async function decode({ ort, decoder, coder }, sample, [channels, h, w]) {
  if (!decoder) return { data: sample, dims: [1, channels, h, w] };
  const { scaling_factor: factor, shift_factor: shift, latents_mean: mean, latents_std: std } = coder;
  const latents = sample.map((v, i) => {
    const c = Math.floor(i / (h * w));
    return (v / factor) * (std?.[c] ?? 1) + (mean?.[c] ?? shift ?? 0);
  });
  const input = new ort.Tensor('float32', latents, [1, channels, h, w]);
  return (await decoder.run({ latent_sample: input })).sample;
}

function toPicture({ data, dims: [, channels, height, width] }) {
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      const value = data[(channels === 1 ? 0 : c) * width * height + i];
      pixels[4 * i + c] = Math.round((value + 1) * 127.5);
    }
    pixels[4 * i + 3] = 255;
  }
  return { data: pixels, width, height };
}
