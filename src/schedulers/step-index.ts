import { InputError } from '../errors.js';

/**
 * Where a run stands among its timesteps. Solvers whose noise levels belong to steps rather than timesteps need
 * it: rounding can give two steps the same timestep, and solvers that call the model twice a step visit a timestep
 * twice. Then only the order tells them apart.
 */
export class StepIndex {
  private next = 0;

  /** @param starts indices where a step begins; all of them, unless steps call the model several times */
  constructor(
    private readonly timesteps: readonly number[],
    private readonly starts?: readonly number[],
  ) {}

  /**
   * The visit of this timestep: the one after the last where that fits, else the first that has it and begins a
   * step (so that a run can start in the middle, or anew), else the first.
   * @throws InputError when no step has it
   */
  find(timestep: number): number {
    const { timesteps, starts, next } = this;
    if (timesteps[next] === timestep) return next;
    const index = starts?.find((i) => timesteps[i] === timestep) ?? timesteps.indexOf(timestep);
    if (index >= 0) return index;
    throw new InputError(
      `timestep ${timestep} is not among the ${this.timesteps.length} chosen — scheduler — step through scheduler.timesteps`,
    );
  }

  /** The timestep at which the step after this one begins; undefined after the last. */
  after(timestep: number): number | undefined {
    const index = this.find(timestep);
    const next = this.starts ? this.starts.find((i) => i > index) : index + 1;
    return next === undefined ? undefined : this.timesteps[next];
  }

  /**
   * For a visit that makes sense only after the one before it: a step's second look at the model.
   * @throws InputError when that was not the last one
   */
  requireFollows(index: number): void {
    if (this.follows(index)) return;
    throw new InputError(
      `timestep ${this.timesteps[index]} is in the middle of a step — scheduler — step through scheduler.timesteps in their order`,
    );
  }

  /** Whether this step follows the last one. */
  follows(index: number): boolean {
    return index > 0 && index === this.next;
  }

  /** Marks a step as done. */
  done(index: number): void {
    this.next = index + 1;
  }
}
