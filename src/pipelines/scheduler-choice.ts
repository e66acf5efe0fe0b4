/** Which scheduler a pipeline draws with: the checkpoint's, or one that was put in its place. */
import { InputError } from '../errors.js';
import { drawingSampler, processOf, type Sampler } from '../schedulers/index.js';
import type { LoadedModel } from './model.js';

/**
 * A scheduler has a memory, and every picture needs a fresh one: what is kept is a config. Schedulers are made from one
 * another's configs, as in diffusers.
 */
export class SchedulerChoice {
  private config: Record<string, unknown>;
  private name: string | undefined;

  constructor(private readonly model: Pick<LoadedModel, 'scheduler' | 'defaults'>) {
    this.config = model.scheduler;
    this.name = model.defaults.scheduler;
  }

  /** @param chosen a scheduler, a name for the model's noise schedule, or null for the model's own */
  set(chosen: Sampler | string | null): void {
    const own = chosen === null || typeof chosen === 'string';
    const config = own ? this.model.scheduler : chosen.toConfig();
    const name = chosen === null ? this.model.defaults.scheduler : own ? chosen : undefined;
    drawingSampler(config, name);
    const [models, trained] = [config, this.model.scheduler].map(processOf);
    if (models !== trained) {
      throw new InputError(
        `${config._class_name} is for models of ${models}, this is a model of ${trained} — scheduler — use one for these`,
      );
    }
    this.config = config;
    this.name = name;
  }

  /** A fresh one. @param name of another with the same noise schedule */
  make(name?: string): Sampler {
    return drawingSampler(this.config, name ?? this.name);
  }
}
