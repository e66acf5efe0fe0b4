/** What a run of bench/quality found, as a table. */
import type { PictureEvaluation } from '../../src/metrics/evaluation.js';
import { extractorText, kidText } from '../../src/metrics/report.js';

/** What a trainer says when it is done. */
export interface Trained {
  /** User and system time of all its threads. */
  readonly cpuSeconds: number;
  /** Of the stage that was trained last. */
  readonly steps: number;
  readonly loss: number;
  /** Of the network that denoises. */
  readonly parameters: number;
}

export interface Result extends Trained {
  readonly recipe: string;
  readonly seed: number;
  /** How it draws: "DDIMScheduler, 30 steps". */
  readonly drawing: string;
  /** Seconds on the wall for a picture. */
  readonly secondsToDraw: number;
  readonly evaluation: PictureEvaluation;
}

/** Quantiles of Student's t at 97.5 % for 1 to 9 degrees of freedom. */
const T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/** Mean over seeds with the 95 % interval that their scatter gives; null from one seed. */
export function overSeeds(values: readonly number[]): { mean: number; half: number } | null {
  const n = values.length;
  if (n < 2) return null;
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1);
  return { mean, half: (T[n - 2] ?? 1.96) * Math.sqrt(variance / n) };
}

const cells = (values: readonly string[]): string => `| ${values.join(' | ')} |`;

export function markdown(results: readonly Result[], data: string): string {
  const head = ['recipe', 'seed', 'KID (95 %)', 'FID', 'precision', 'recall', 'parameters', 'steps'];
  const rows = results.map(({ recipe, seed, evaluation, parameters, steps, cpuSeconds, ...result }) => [
    recipe,
    String(seed),
    kidText(evaluation.kid),
    evaluation.fid.toFixed(1),
    evaluation.overlap.precision.toFixed(2),
    evaluation.overlap.recall.toFixed(2),
    `${(parameters / 1e6).toFixed(1)} M`,
    String(steps),
    (cpuSeconds / 60).toFixed(2),
    `${result.drawing}, ${result.secondsToDraw.toFixed(2)} s`,
  ]);
  const [{ evaluation }] = results;
  const { generated, real, floor } = evaluation;
  const recipes = [...new Set(results.map(({ recipe }) => recipe))];
  const means = recipes.flatMap((recipe) => {
    const own = results.filter((result) => result.recipe === recipe);
    const mean = overSeeds(own.map((result) => result.evaluation.kid.value));
    return mean
      ? [`- ${recipe}: ${mean.mean.toFixed(3)} ± ${mean.half.toFixed(3)} over ${own.length} seeds`]
      : [];
  });
  return [
    `${generated.count} pictures of each model against ${real.count} of ${data} (${evaluation.size}×${evaluation.size}).`,
    '',
    cells([...head, 'CPU minutes', 'a picture']),
    cells([...head, '', ''].map(() => '---')),
    ...rows.map(cells),
    '',
    ...(means.length > 0 ? ['KID, mean and 95 % interval by the scatter of seeds:', '', ...means, ''] : []),
    `Real pictures against each other (${floor.count}): KID ${kidText(floor.kid)}.`,
    `Features: ${extractorText(evaluation)}.`,
    '',
  ].join('\n');
}
