/** What an examination found: one line each, as errors are written. */
import { InputError, RunError } from '../errors.js';

export const AREAS = [
  'files',
  'config',
  'weights',
  'scheduler',
  'text',
  'autoencoder',
  'network',
  'labels',
  'training',
  'machine',
] as const;
export type Area = (typeof AREAS)[number];

export interface Finding {
  readonly area: Area;
  /** An error keeps the model from drawing, or makes it draw something else. */
  readonly severity: 'error' | 'warning';
  /** `what — where — what to do` */
  readonly message: string;
}

export class Findings {
  readonly list: Finding[] = [];

  private add(area: Area, severity: Finding['severity'], message: string): void {
    if (!this.list.some((f) => f.message === message)) this.list.push({ area, severity, message });
  }

  error(area: Area, message: string): void {
    this.add(area, 'error', message);
  }

  warn(area: Area, message: string): void {
    this.add(area, 'warning', message);
  }

  /** Runs a check that throws what it finds. @returns its result; null when it threw an InputError or RunError */
  async attempt<T>(area: Area, check: () => T | Promise<T>): Promise<T | null> {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof InputError || error instanceof RunError)) throw error;
      this.error(area, error.message);
      return null;
    }
  }
}
