/** Short names of the schedulers, for the command line; apart from them, so that help needs to load nothing else. */

/** Those that draw with models of DDPM's process, which is what the pipelines have. */
export const SCHEDULER_NAMES = [
  'ddpm',
  'ddim',
  'euler',
  'euler-a',
  'heun',
  'dpm2',
  'dpm2-a',
  'lms',
  'dpmsolver',
  'dpmsolver-single',
  'deis',
  'unipc',
  'pndm',
  'lcm',
  'tcd',
] as const;
export type SchedulerName = (typeof SCHEDULER_NAMES)[number];
