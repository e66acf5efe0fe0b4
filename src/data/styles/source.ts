/** What a style dataset is made from. */

/** Where a style's drawings come from and what may be done with them. */
export interface Licence {
  readonly title: string;
  readonly creator: string;
  /** Page of the original drawings. */
  readonly source: string;
  readonly licence: { readonly name: string; readonly url: string };
  /** npm package and version that the drawings were taken from; null for what Sumi draws itself. */
  readonly package: { readonly name: string; readonly version: string } | null;
}

/** One style: an endless row of drawings, each a function of the seed and its number alone. */
export interface StyleSource {
  /** The label, and the name of the sub-folder. */
  readonly label: string;
  readonly about: Licence;
  /** SVG of drawing `index`, from 0. Two of them may look the same. */
  svg(seed: number, index: number): string;
}

/** A collection of styles that `sumi dataset NAME` knows. */
export interface StyleCollection {
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** All labels, without loading anything. */
  readonly labels: readonly string[];
  /** Pictures per style unless the caller says otherwise. */
  readonly defaultCount: number;
  /**
   * Loads the styles wanted.
   * @throws InputError naming what to install when a package is missing
   */
  load(labels: readonly string[]): Promise<StyleSource[]>;
}

/**
 * Soft plain backgrounds, told apart at a glance and light enough for any drawing to stand out.
 * (hex without #, as DiceBear takes them)
 */
export const BACKGROUNDS = [
  'b6e3f4',
  'c0aede',
  'ffd5dc',
  'ffdfbf',
  'c1e7c1',
  'fff2b2',
  'd8dee6',
  'a8dadc',
] as const;
