/**
 * Pictures led by their looks. At each step the picture x_0 that the network predicts is moved towards the targets, by
 * gradients through the decoder alone (backward guidance of Bansal et al. 2023, "Universal guidance for diffusion models",
 * section 3.2, one move a step), and the prediction becomes the one that goes with it.
 */
import { conversionCoefficients } from '../diffusion/prediction.js';
import { gainAt, stepLength, type Target } from '../guidance/index.js';
import type { Scheduler } from '../schedulers/index.js';
import type { Codec } from './codec.js';
import type { Condition, Denoiser } from './denoise.js';

/** Predicts for one picture on its way to the targets. */
export class SteeredDenoiser implements Pick<Denoiser, 'predict'> {
  /**
   * @param inner what predicts, guidance towards a label included
   * @param scheduler that the picture is drawn with
   */
  constructor(
    private readonly inner: Pick<Denoiser, 'predict'>,
    private readonly codec: Pick<Codec, 'decode' | 'pullBack'>,
    private readonly scheduler: Scheduler,
    private readonly targets: readonly Target[],
  ) {}

  /** As `Denoiser.predict`; the scheduler is at this timestep. */
  async predict(
    sample: Float32Array,
    size: readonly [number, number],
    timestep: number,
    condition: Condition,
  ): Promise<Float32Array> {
    const { codec, scheduler } = this;
    const output = await this.inner.predict(sample, size, timestep, condition);
    const alphaProd = scheduler.alphaProd?.(timestep) ?? scheduler.alphasCumprod[timestep];
    const sigma = Math.sqrt((1 - alphaProd) / alphaProd);
    const targets = this.targets.filter(({ until }) => sigma > until);
    if (targets.length === 0) return output;
    const to = conversionCoefficients(scheduler.config.prediction_type, 'sample', alphaProd);
    let original: Float32Array = output.map((value, i) => to.output * value + to.sample * sample[i]);
    for (const target of targets) {
      const { loss, gradient } = target.pull(await codec.decode(original, size));
      const slopes = await codec.pullBack(original, gradient, size);
      const length = gainAt(alphaProd, target.strength) * stepLength(loss, slopes);
      original = original.map((x, i) => x - length * slopes[i]);
    }
    return original.map((x, i) => (x - to.sample * sample[i]) / to.output);
  }
}
