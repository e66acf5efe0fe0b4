/** What single schedulers have that the others do not. */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import {
  DDIMInverseScheduler,
  DDIMScheduler,
  schedulerFromConfig,
  stepStarts,
} from '../../src/schedulers/index.js';

const point = Float32Array.from([0.5, -0.9, 0.1, 0.7]);

describe('solvers in λ', () => {
  it('refuse what cannot be, naming the key', () => {
    for (const name of ['dpmsolver', 'dpmsolver-single']) {
      const refuse = (config: object, why: RegExp) =>
        expect(() => schedulerFromConfig(config, name)).toThrow(why);
      refuse({ algorithm_type: 'dpmsolver' }, /final_sigmas_type/);
      refuse({ algorithm_type: 'sde-dpmsolver++', solver_order: 3 }, /solver_order/);
      refuse({ algorithm_type: 'ode' }, /algorithm_type/);
      refuse({ solver_order: 4 }, /solver_order/);
      refuse({ solver_type: 'rk' }, /solver_type/);
      refuse({ use_flow_sigmas: true }, /model of a flow/);
    }
    for (const config of [{ predict_x0: false }, { lower_order_final: false }])
      expect(() => schedulerFromConfig(config, 'unipc')).toThrow(/final_sigmas_type/);
  });

  it('take the solver types of one another for their own', () => {
    const config = { solver_type: 'logrho', algorithm_type: 'deis' };
    expect(schedulerFromConfig(config, 'dpmsolver').config).toMatchObject({
      solver_type: 'midpoint',
      algorithm_type: 'dpmsolver++',
    });
    expect(schedulerFromConfig({ solver_type: 'midpoint' }, 'unipc').config.solver_type).toBe('bh2');
    expect(schedulerFromConfig({ solver_type: 'heun' }, 'deis').config.solver_type).toBe('logrho');
  });

  it('need noise for the SDE, each step but one to a clean picture', () => {
    const scheduler = schedulerFromConfig({ algorithm_type: 'sde-dpmsolver++' }, 'dpmsolver');
    scheduler.setTimesteps(4);
    let asked = 0;
    const noise = () => {
      asked++;
      return new Float32Array(4);
    };
    for (const t of scheduler.timesteps) scheduler.step(point, t, point, { noise });
    expect(asked).toBe(3);
  });

  it('can take a step again that had no noise', () => {
    for (const name of ['dpmsolver', 'dpmsolver-single']) {
      const run = (forgetful: boolean) => {
        const scheduler = schedulerFromConfig({ algorithm_type: 'sde-dpmsolver++' }, name);
        scheduler.setTimesteps(5);
        let sample: Float32Array = point;
        for (const t of scheduler.timesteps) {
          const output = sample.map(Math.sin);
          if (forgetful && t > 200) expect(() => scheduler.step(output, t, sample)).toThrow(InputError);
          sample = scheduler.step(output, t, sample, { noise: () => point }).prevSample;
        }
        return [...sample];
      };
      expect(run(true)).toEqual(run(false));
    }
  });
});

describe('PNDMScheduler', () => {
  it('calls the model twelve times for three steps of Runge–Kutta, and refuses fewer than four steps', () => {
    const scheduler = schedulerFromConfig({}, 'pndm');
    scheduler.setTimesteps(10);
    expect(stepStarts(scheduler)).toEqual([0, 4, 8, 12, 13, 14, 15, 16, 17, 18]);
    expect(() => scheduler.setTimesteps(3)).toThrow(/skip_prk_steps/);
    expect(() => scheduler.setTimesteps([900, 500, 100, 0])).toThrow(/give a number/);
    scheduler.setTimesteps(4);
    const middle = scheduler.timesteps[1];
    expect(() => scheduler.step(point, middle, point)).toThrow(/middle of a step/);
  });
});

describe.each(['lcm', 'tcd'])('%s', (name) => {
  it('takes as many steps as the model was distilled with, at most', () => {
    const scheduler = schedulerFromConfig({}, name);
    expect(() => scheduler.setTimesteps(51)).toThrow(/original_inference_steps/);
    scheduler.setTimesteps(50);
    expect(scheduler.timesteps.slice(0, 2)).toEqual([999, 979]);
    const short = schedulerFromConfig({ num_train_timesteps: 20 }, name);
    expect(() => short.setTimesteps(4)).toThrow(/original_inference_steps is 50/);
  });
});

describe('TCDScheduler', () => {
  it('takes eta from 0 to 1, 0.3 by default, and needs noise above 0', () => {
    const scheduler = schedulerFromConfig({}, 'tcd');
    scheduler.setTimesteps(4);
    const t = scheduler.timesteps[0];
    const noise = () => point;
    const at = (eta?: number) => [...scheduler.step(point, t, point, { eta, noise }).prevSample];
    expect(at()).toEqual(at(0.3));
    expect(at()).not.toEqual(at(0.2));
    expect(() => scheduler.step(point, t, point, { eta: 0 })).not.toThrow();
    for (const eta of [0.3, -0.1, 1.1, Number.NaN])
      expect(() => scheduler.step(point, t, point, { eta }), String(eta)).toThrow(InputError);
  });
});

describe('DDIMInverseScheduler', () => {
  it('finds the noise that DDIM draws a picture from', () => {
    const config = { clip_sample: false };
    const up = new DDIMInverseScheduler(config);
    const down = new DDIMScheduler(config);
    for (const scheduler of [up, down]) scheduler.setTimesteps(500);
    const model = (sample: Float32Array) => sample.map((v) => 0.8 * v);
    let sample: Float32Array = point;
    for (const t of up.timesteps) sample = up.step(model(sample), t, sample).prevSample;
    for (const t of down.timesteps) sample = down.step(model(sample), t, sample).prevSample;
    sample.forEach((v, i) => {
      expect(Math.abs(v - point[i])).toBeLessThan(0.02);
    });
  });
});

describe('DPMSolverMultistepScheduler', () => {
  it('reads -Infinity for lambda_min_clipped, as diffusers writes it, and writes nothing that is not JSON', () => {
    const scheduler = schedulerFromConfig({ lambda_min_clipped: -Infinity }, 'dpmsolver');
    expect(Object.keys(scheduler.toConfig())).not.toContain('lambda_min_clipped');
  });
});
