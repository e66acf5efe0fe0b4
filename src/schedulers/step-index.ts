import { InputError } from '../errors.js';

/**
 * Where a run stands among its timesteps. Solvers whose noise levels belong to steps rather than timesteps need
 * it: rounding can give two steps the same timestep, and then only the order tells them apart.
 */
export class StepIndex {
  private next = 0;

  constructor(private readonly timesteps: readonly number[]) {}

  /**
   * The step of this timestep: the one after the last where that fits, else the first that has it (so that a
   * run can start in the middle, or anew).
   * @throws InputError when no step has it
   */
  find(timestep: number): number {
    if (this.timesteps[this.next] === timestep) return this.next;
    const index = this.timesteps.indexOf(timestep);
    if (index >= 0) return index;
    throw new InputError(
      `timestep ${timestep} is not among the ${this.timesteps.length} chosen — scheduler — step through scheduler.timesteps`,
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
