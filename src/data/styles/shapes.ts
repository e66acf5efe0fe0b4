/** Circles, squares, triangles and stars: a small set with no dependencies, for first tries and tests. */
import { Random } from '../../random.js';
import { BACKGROUNDS, type Licence, type StyleCollection, type StyleSource } from './source.js';

const INKS = ['e63946', '1d70b8', '2a9d3f', 'f4a000', '8338ec', '22223b', 'e0569a', '00897b'] as const;

const about: Licence = {
  title: 'Shapes',
  creator: 'Sumi',
  source: 'drawn by Sumi itself',
  licence: { name: 'CC0 1.0', url: 'https://creativecommons.org/publicdomain/zero/1.0/' },
  package: null,
};

/** Corners at even angles, the radius going through `radii` in turn. */
function polygon(corners: number, radii: readonly number[]): string {
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = (2 * Math.PI * i) / corners - Math.PI / 2;
    const radius = radii[i % radii.length];
    return `${(radius * Math.cos(angle)).toFixed(3)},${(radius * Math.sin(angle)).toFixed(3)}`;
  });
  return `<polygon points="${points.join(' ')}"/>`;
}

/** Each in a circle of radius 1 around the origin. */
const FORMS: Record<string, string> = {
  circle: '<circle r="0.9"/>',
  square: '<rect x="-0.78" y="-0.78" width="1.56" height="1.56"/>',
  star: polygon(10, [1, 0.45]),
  triangle: polygon(3, [1]),
};

function source(label: string): StyleSource {
  return {
    label,
    about,
    svg(seed, index) {
      const random = new Random(seed, 'shapes', label, index);
      const [size, x, y, turn] = random.uniform(4);
      const radius = 16 + 10 * size; // of 64: the form fills half to most of the picture
      const room = 31 - radius;
      const cx = 32 + (2 * x - 1) * room;
      const cy = 32 + (2 * y - 1) * room;
      const ink = INKS[random.int(INKS.length)];
      const ground = BACKGROUNDS[random.int(BACKGROUNDS.length)];
      // A little turn only: a square on its corner would be another form.
      const place = `translate(${cx.toFixed(2)} ${cy.toFixed(2)}) rotate(${((turn - 0.5) * 40).toFixed(1)}) scale(${radius.toFixed(2)})`;
      return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64"><rect width="64" height="64" fill="#${ground}"/><g fill="#${ink}" transform="${place}">${FORMS[label]}</g></svg>`;
    },
  };
}

export const shapes: StyleCollection = {
  name: 'shapes',
  summary: 'circles, squares, stars and triangles, drawn by Sumi itself (CC0)',
  labels: Object.keys(FORMS),
  defaultCount: 250,
  load: async (labels) => labels.map(source),
};
