/** Says while a model is trained what `sumi doctor` would say of its figures, each thing once. */
import { memorisation, overfitting } from '../doctor/overfitting.js';
import type { Measurement } from './run-dir.js';

export class Alarm {
  private silent = [overfitting, memorisation];

  constructor(private readonly onNote: ((line: string) => void) | undefined) {}

  /** @param lines of the checkpoints so far */
  look(lines: readonly Measurement[]): void {
    this.silent = this.silent.filter((judge) => {
      const found = judge(lines);
      if (found) this.onNote?.(`${found.what} (${found.todo})`);
      return !found;
    });
  }
}
