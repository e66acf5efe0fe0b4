import { describe, expect, it } from 'vitest';
import { convertPrediction } from '../../src/diffusion/index.js';
import { InputError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import {
  DDIMScheduler,
  DDPMScheduler,
  drawingSampler,
  isDiffusion,
  parseSchedulerConfig,
  SCHEDULER_NAMES,
  SCHEDULERS,
  type Scheduler,
  samplerFromConfig,
  schedulerFromConfig,
  stepStarts,
} from '../../src/schedulers/index.js';

const point = Float32Array.from([0.5, -0.9, 0.1, 0.7]);

/** ᾱ at a timestep, which Euler may put between two (linear in σ). */
function alphaProdAt({ alphasCumprod }: Scheduler, t: number): number {
  const sigma = (at: number) => Math.sqrt(1 / alphasCumprod[at] - 1);
  const low = Math.floor(t);
  return 1 / ((sigma(low) + (t - low) * (sigma(Math.ceil(t)) - sigma(low))) ** 2 + 1);
}

/** Samples with the model that is right when the data set is one picture: its ε points away from that picture. */
function sampleWithPerfectModel(scheduler: Scheduler, seed: number): Float32Array {
  const random = new Random(seed);
  let sample: Float32Array = random.normal(4).map((v) => v * scheduler.initNoiseSigma);
  for (const t of scheduler.timesteps) {
    const seen = scheduler.scaleModelInput(sample, t);
    const alphaProd = alphaProdAt(scheduler, t);
    const epsilon = convertPrediction(point, seen, alphaProd, 'sample', scheduler.config.prediction_type);
    sample = scheduler.step(epsilon, t, sample, { noise: () => random.normal(4) }).prevSample;
  }
  return sample;
}

/** Lets PNDM take any number of steps, and end at the picture. */
const pndmAsOthers = { skip_prk_steps: true, set_alpha_to_one: true };

/** DEIS and TCD end at the noise of the first training timestep, of deviation 0.01 and 0.03. */
const noiseLeft = (name: string) => ({ deis: 0.03, tcd: 0.09 })[name] ?? 0;

/** The timestep of the second step. */
const secondStart = (scheduler: Scheduler) => scheduler.timesteps[stepStarts(scheduler)[1]];

describe.each(SCHEDULER_NAMES)('%s', (name) => {
  it('finds the only picture of the data set, whatever the steps and the prediction type', () => {
    // PNDM's mean of velocities, diffusers' way, is right for many steps only.
    const types = name === 'pndm' ? ['epsilon', 'sample'] : ['epsilon', 'v_prediction', 'sample'];
    for (const prediction_type of types)
      for (const steps of [1, 2, 10, 50]) {
        const scheduler = schedulerFromConfig({ prediction_type, ...pndmAsOthers }, name);
        scheduler.setTimesteps(steps);
        const found = sampleWithPerfectModel(scheduler, steps);
        found.forEach((v, i) => {
          expect(Math.abs(v - point[i]), `${prediction_type} ${steps}`).toBeLessThan(noiseLeft(name) + 2e-4);
        });
      }
  });

  it('leaves its inputs alone', () => {
    const scheduler = schedulerFromConfig({}, name);
    scheduler.setTimesteps(4);
    const [output, sample] = [new Float32Array(4).fill(9), point.slice()];
    const noise = () => new Float32Array(4);
    scheduler.step(output, scheduler.timesteps[0], sample, { noise, eta: 1 });
    expect(sample).toEqual(point);
    expect([...output]).toEqual([9, 9, 9, 9]);
  });

  it('gives a picture of a batch what it would get alone', () => {
    const config = { thresholding: true, sample_max_value: 3, prediction_type: 'sample' };
    const outputs = [Float32Array.from([0.1, 2, 1, -4]), Float32Array.from([0.2, 0.1, 0, -0.3])];
    const alone = outputs.map((output) => {
      const scheduler = schedulerFromConfig(config, name);
      scheduler.setTimesteps(5);
      return scheduler.step(output, secondStart(scheduler), point, { noise: () => point });
    });
    const scheduler = schedulerFromConfig(config, name);
    scheduler.setTimesteps(5);
    const twice = Float32Array.from([...point, ...point]);
    const both = scheduler.step(
      Float32Array.from(outputs.flatMap((o) => [...o])),
      secondStart(scheduler),
      twice,
      { noise: () => twice, batchSize: 2 },
    );
    expect([...both.prevSample]).toEqual(alone.flatMap((r) => [...r.prevSample]));
  });

  it('refuses step counts and timesteps that make no sense', () => {
    const scheduler = schedulerFromConfig(
      { num_train_timesteps: 100, original_inference_steps: 100, ...pndmAsOthers },
      name,
    );
    for (const steps of [0, -1, 2.5, 101, Number.NaN, Infinity])
      expect(() => scheduler.setTimesteps(steps), String(steps)).toThrow(InputError);
    for (const timesteps of [[], [100], [5, 5], [3, 7], [1.5], [-1]])
      expect(() => scheduler.setTimesteps(timesteps), String(timesteps)).toThrow(InputError);
    scheduler.setTimesteps(10);
    const noise = () => point;
    for (const t of [-1, 100, 0.5])
      expect(() => scheduler.step(point, t, point, { noise }), String(t)).toThrow(InputError);
    expect(() => scheduler.addNoise(point, point, 100)).toThrow(InputError);
    expect(() => scheduler.addNoise(point, point.slice(1), 10)).toThrow(InputError);
    expect(() => scheduler.step(point.slice(1), scheduler.timesteps[0], point, { noise })).toThrow(
      InputError,
    );
    expect(() => scheduler.setTimesteps(100)).not.toThrow();
  });

  it('refuses bad configs, naming the key', () => {
    const bad: Record<string, unknown>[] = [
      { num_train_timesteps: 0 },
      { beta_start: 'small' },
      { beta_schedule: 'cosine' },
      { prediction_type: 'noise' },
      { timestep_spacing: 'even' },
      { steps_offset: -1 },
      { trained_betas: [2] },
    ];
    for (const config of bad)
      expect(() => schedulerFromConfig(config, name)).toThrow(new RegExp(Object.keys(config)[0]));
    for (const config of [null, 3, [], 'ddpm'])
      expect(() => schedulerFromConfig(config, name), String(config)).toThrow(InputError);
  });

  it('writes a config that makes the same scheduler, and keeps keys it does not know', () => {
    const scheduler = schedulerFromConfig(
      {
        beta_schedule: 'scaled_linear',
        skip_prk_steps: true,
        _diffusers_version: '0.6.0',
        trained_betas: null,
      },
      name,
    );
    const written = JSON.parse(JSON.stringify(scheduler.toConfig()));
    expect(written).toMatchObject({
      _class_name: scheduler.constructor.name,
      beta_schedule: 'scaled_linear',
      skip_prk_steps: true,
      num_train_timesteps: 1000,
    });
    expect(schedulerFromConfig(written).toConfig()).toEqual(scheduler.toConfig());
  });
});

describe('DDPMScheduler', () => {
  it('asks for noise once per step, and not on the step from 0', () => {
    const scheduler = new DDPMScheduler();
    scheduler.setTimesteps(5);
    let asked = 0;
    const noise = () => {
      asked++;
      return new Float32Array(4);
    };
    for (const t of scheduler.timesteps) scheduler.step(point, t, point, { noise });
    expect(asked).toBe(4);
    expect(() => scheduler.step(point, scheduler.timesteps[0], point)).toThrow(InputError);
    expect(() =>
      scheduler.step(point, scheduler.timesteps[0], point, { noise: () => new Float32Array(3) }),
    ).toThrow(InputError);
  });

  it('adds noise of the variance that its type names', () => {
    const t = 500;
    const deviation = (variance_type: string) => {
      const scheduler = new DDPMScheduler({ variance_type: variance_type as never });
      const at = (z: number) =>
        scheduler.step(point, t, point, { noise: () => new Float32Array(4).fill(z) }).prevSample[0];
      return { sigma: at(1) - at(0), scheduler };
    };
    const { alphasCumprod } = deviation('fixed_small').scheduler;
    const beta = 1 - alphasCumprod[t] / alphasCumprod[t - 1];
    const small = ((1 - alphasCumprod[t - 1]) / (1 - alphasCumprod[t])) * beta;
    for (const type of ['fixed_small', 'fixed_small_log'])
      expect(deviation(type).sigma).toBeCloseTo(Math.sqrt(small), 5);
    for (const type of ['fixed_large', 'fixed_large_log'])
      expect(deviation(type).sigma).toBeCloseTo(Math.sqrt(beta), 5);
    expect(() => deviation('learned_range')).toThrow(/variance_type/);
  });

  it('steps through custom timesteps only', () => {
    const scheduler = new DDPMScheduler();
    scheduler.setTimesteps([900, 400, 30]);
    expect(scheduler.timesteps.map((t) => scheduler.previousTimestep(t))).toEqual([400, 30, -1]);
    expect(() => scheduler.step(point, 401, point, { noise: () => point })).toThrow(/401/);
  });
});

describe('DDIMScheduler', () => {
  it('with eta 1 takes the steps of DDPM', () => {
    const config = { clip_sample: false };
    const [ddim, ddpm] = [new DDIMScheduler(config), new DDPMScheduler(config)];
    for (const s of [ddim, ddpm]) s.setTimesteps(20);
    const noise = () => Float32Array.from([0.3, -1, 2, 0]);
    const output = Float32Array.from([0.2, 0.4, -0.6, 1]);
    for (const t of ddim.timesteps.slice(0, -1)) {
      const a = ddim.step(output, t, point, { eta: 1, noise }).prevSample;
      const b = ddpm.step(output, t, point, { noise }).prevSample;
      a.forEach((v, i) => {
        expect(Math.abs(v - b[i])).toBeLessThan(1e-6);
      });
    }
  });

  it('needs no noise at eta 0, needs it above, and takes eta from 0 to 1 only', () => {
    const scheduler = new DDIMScheduler();
    scheduler.setTimesteps(5);
    const t = scheduler.timesteps[0];
    expect(() => scheduler.step(point, t, point)).not.toThrow();
    for (const eta of [0.5, -0.1, 1.1, Number.NaN])
      expect(() => scheduler.step(point, t, point, { eta }), String(eta)).toThrow(InputError);
  });

  it('accepts custom timesteps and ends at the clean picture', () => {
    const scheduler = new DDIMScheduler();
    scheduler.setTimesteps([950, 610, 200]);
    expect(scheduler.timesteps.map((t) => scheduler.previousTimestep(t))).toEqual([610, 200, -1]);
    sampleWithPerfectModel(scheduler, 3).forEach((v, i) => {
      expect(v).toBeCloseTo(point[i], 5);
    });
  });

  it('refuses epsilon predictions at zero SNR, where they say nothing', () => {
    const scheduler = new DDIMScheduler({ rescale_betas_zero_snr: true, timestep_spacing: 'trailing' });
    scheduler.setTimesteps(5);
    expect(() => scheduler.step(point, scheduler.timesteps[0], point)).toThrow(/v_prediction/);
  });

  it('refuses a steps_offset that leaves the schedule', () => {
    const scheduler = new DDIMScheduler({ steps_offset: 1 });
    expect(() => scheduler.setTimesteps(1000)).toThrow(/steps_offset/);
    expect(() => scheduler.setTimesteps(50)).not.toThrow();
  });
});

describe.each(['euler', 'heun', 'dpm2', 'lms', 'dpmsolver'])('%s', (name) => {
  const run = (scheduler: Scheduler) => {
    let sample: Float32Array = point;
    for (const t of scheduler.timesteps) {
      const seen = scheduler.scaleModelInput(sample, t);
      sample = scheduler.step(seen.map(Math.sin), t, sample).prevSample;
    }
    return [...sample];
  };

  it('gives the same run again, without and with setTimesteps in between', () => {
    const scheduler = schedulerFromConfig({}, name);
    scheduler.setTimesteps(8);
    const first = run(scheduler);
    expect(run(scheduler)).toEqual(first);
    scheduler.setTimesteps(8);
    expect(run(scheduler)).toEqual(first);
  });

  it('takes as many steps as there are timesteps without a NaN', () => {
    for (const use_karras_sigmas of [false, true]) {
      const scheduler = schedulerFromConfig({ num_train_timesteps: 60, use_karras_sigmas }, name);
      scheduler.setTimesteps(60);
      expect(stepStarts(scheduler).length).toBe(60);
      expect(run(scheduler).every(Number.isFinite)).toBe(true);
    }
  });

  it('starts in the middle, at the noise level of addNoise', () => {
    const scheduler = schedulerFromConfig({}, name);
    scheduler.setTimesteps(20);
    const first = stepStarts(scheduler)[12];
    const start = scheduler.timesteps[first];
    let sample: Float32Array = scheduler.addNoise(point, Float32Array.from([1, -2, 0.5, 0]), start);
    for (const t of scheduler.timesteps.slice(first)) {
      const seen = scheduler.scaleModelInput(sample, t);
      const epsilon = convertPrediction(point, seen, alphaProdAt(scheduler, t), 'sample', 'epsilon');
      sample = scheduler.step(epsilon, t, sample).prevSample;
    }
    sample.forEach((v, i) => {
      expect(Math.abs(v - point[i])).toBeLessThan(noiseLeft(name) + 5e-5);
    });
  });

  it('refuses rules for σ that contradict, and timesteps beside one', () => {
    const rules = ['use_karras_sigmas', 'use_exponential_sigmas', 'use_beta_sigmas'];
    for (const key of rules) {
      const other = rules[(rules.indexOf(key) + 1) % 3];
      expect(() => schedulerFromConfig({ [key]: true, [other]: true }, name)).toThrow(/exclude each other/);
      const scheduler = schedulerFromConfig({ [key]: true }, name);
      expect(() => scheduler.setTimesteps([900, 10])).toThrow(new RegExp(key));
    }
  });
});

describe('parseSchedulerConfig', () => {
  it('reads the Infinity that Python writes, outside strings only', () => {
    const text =
      '{"lambda_min_clipped": -Infinity, "a": NaN, "note": "Infinity \\" -Infinity", "beta_start": 0.001}';
    expect(parseSchedulerConfig(text)).toEqual({
      lambda_min_clipped: null,
      a: null,
      note: 'Infinity " -Infinity',
      beta_start: 0.001,
    });
  });

  it('refuses what is not JSON', () => {
    expect(() => parseSchedulerConfig('{beta_start: 1}')).toThrow(InputError);
  });
});

describe('schedulerFromConfig', () => {
  it('goes by the config, by short name and by class name', () => {
    const config = { _class_name: 'DDPMScheduler', beta_schedule: 'squaredcos_cap_v2', clip_sample: false };
    expect(schedulerFromConfig(config)).toBeInstanceOf(DDPMScheduler);
    for (const name of ['ddim', 'DDIMScheduler']) {
      const other = schedulerFromConfig(config, name);
      expect(other).toBeInstanceOf(DDIMScheduler);
      expect(other.config).toMatchObject({ beta_schedule: 'squaredcos_cap_v2', clip_sample: false });
      expect(other.toConfig()._class_name).toBe('DDIMScheduler');
    }
  });

  it.each([
    ['DDIMInverseScheduler', /picture to noise/, null],
    ['IPNDMScheduler', /from 0 to 1/, 'name IPNDMScheduler'],
    ['EDMEulerScheduler', /EDM/, 'name EDMEulerScheduler or EDMDPMSolverMultistepScheduler'],
    ['EDMDPMSolverMultistepScheduler', /EDM/, 'EDMEulerScheduler'],
    ['FlowMatchEulerDiscreteScheduler', /flow/, 'FlowMatchHeunDiscreteScheduler'],
    ['FlowMatchHeunDiscreteScheduler', /flow/, 'FlowMatchEulerDiscreteScheduler'],
    ['CMStochasticIterativeScheduler', /consistency/, 'name CMStochasticIterativeScheduler'],
  ])('%s draws with its own models alone', (_class_name, why, instead) => {
    const config = { _class_name, unknown: 3 };
    expect(() => schedulerFromConfig(config)).toThrow(why);
    expect(() => drawingSampler({}, _class_name)).toThrow(why);
    const model = () => drawingSampler(config, 'euler');
    if (instead === null) {
      expect(model).not.toThrow();
      expect(() => drawingSampler(config)).toThrow(why);
    } else {
      expect(model).toThrow(/^euler is for models of DDPM’s process, this is a model of /);
      expect(model).toThrow(instead);
      expect(drawingSampler(config).toConfig()).toMatchObject(config);
      expect(isDiffusion(drawingSampler(config))).toBe(false);
    }
    const made = samplerFromConfig(config);
    expect(made.toConfig()).toMatchObject(config);
    expect(() => made.setTimesteps(0)).toThrow(InputError);
    expect(() => made.setTimesteps([0.5, 0.7])).toThrow(InputError);
  });

  it.each([
    [{ use_flow_sigmas: true }, 'unipc', /this is a model of a flow/],
    [{ prediction_type: 'flow_prediction' }, 'deis', /this is a model of a flow/],
    [{ use_flow_sigmas: true, _class_name: 'UniPCMultistepScheduler' }, undefined, /needs a model of DDPM/],
    [{ timestep_type: 'continuous', prediction_type: 'v_prediction' }, 'heun', /— use euler$/],
  ])('refuses a model of %o with %s', (config, name, message) => {
    expect(() => schedulerFromConfig(config, name)).toThrow(InputError);
    expect(() => schedulerFromConfig(config, name)).toThrow(message);
  });

  it('leaves solvers that know a flow’s sigmas to models of a flow', () => {
    const config = { _class_name: 'UniPCMultistepScheduler', use_flow_sigmas: true };
    const sampler = drawingSampler({ ...config, prediction_type: 'flow_prediction' });
    expect(sampler.toConfig()).toMatchObject(config);
    expect(drawingSampler(sampler.toConfig(), 'unipc').toConfig()).toMatchObject(config);
    expect(isDiffusion(sampler)).toBe(false);
  });

  it('has a scheduler for each short name, and no other', () => {
    expect(Object.keys(SCHEDULERS)).toEqual([...SCHEDULER_NAMES]);
  });

  it('lists the known names when it does not know one', () => {
    expect(() => schedulerFromConfig({ _class_name: 'KarrasVeScheduler' })).toThrow(/KarrasVe.*ddpm.*ddim/);
    expect(() => schedulerFromConfig({}, 'toString')).toThrow(InputError);
    expect(() => schedulerFromConfig({})).toThrow(InputError);
    expect(() => schedulerFromConfig(undefined)).toThrow(InputError);
  });
});
