/** The names of the rendered data sets: a module of its own, so that help texts need to load nothing else. */
export const RENDERED_NAMES = [
  'cells',
  'aerial',
  'landscapes',
  'leaves',
  'streets',
  'scratches',
  'moving',
  'sprites',
] as const;

export type RenderedName = (typeof RENDERED_NAMES)[number];
