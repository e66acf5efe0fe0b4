/** Combinations of options that a solver in λ cannot have. */
import { InputError } from '../errors.js';
import type { AlgorithmType } from './exponential.js';

interface SolverOptions {
  algorithm_type: AlgorithmType;
  final_sigmas_type: 'zero' | 'sigma_min';
  solver_order: number;
}

/**
 * ε_θ cannot be integrated to σ = 0, where λ is infinite. And the papers have no third order for the SDE; diffusers
 * has one, whose last term has the wrong sign.
 * @throws InputError for such a combination
 */
export function requireSolver(options: SolverOptions, className: string): void {
  const { algorithm_type, final_sigmas_type, solver_order } = options;
  if (!algorithm_type.endsWith('++') && final_sigmas_type === 'zero')
    throw new InputError(
      `algorithm_type ${algorithm_type} cannot end at final_sigmas_type zero — ${className} config — set final_sigmas_type to sigma_min`,
    );
  if (algorithm_type.startsWith('sde-') && solver_order > 2)
    throw new InputError(
      `solver_order is ${solver_order} with algorithm_type ${algorithm_type} — ${className} config — set solver_order to 1 or 2`,
    );
}
