/** The part of a picture that is painted, brought to the model's size and back. */
import sharp from 'sharp';
import { type RgbPicture, toBytes } from '../image/index.js';

/** How much is painted at each pixel: [height, width], 0 keeps, 1 paints. */
export interface PaintMask {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** A square of the picture; it may reach over the picture's edge, where the edge is repeated. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

/** How much wider than what is painted the region is, so that the model sees what surrounds it. */
const CONTEXT = 1.5;

/**
 * The square that the model works on: the whole picture when it has the model's size, else the painted part with
 * some of its surroundings, at least the model's size where the picture has that much.
 */
export function regionOf(mask: PaintMask, modelSide: number): Region {
  const { data, width, height } = mask;
  if (width === height && width <= modelSide) return { left: 0, top: 0, side: width };
  let [x0, y0, x1, y1] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] <= 0) continue;
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x);
      y0 = Math.min(y0, y);
      y1 = y;
    }
  }
  const painted = Math.max(x1 - x0, y1 - y0) + 1;
  const most = Math.max(width, height);
  const side = Math.min(most, Math.max(Math.ceil(painted * CONTEXT), modelSide));
  const start = (from: number, to: number, length: number) => {
    const centred = Math.round((from + to + 1 - side) / 2);
    // Inside the picture where it fits, else centred on the picture.
    return side <= length ? Math.min(Math.max(centred, 0), length - side) : Math.floor((length - side) / 2);
  };
  return { left: start(x0, x1, width), top: start(y0, y1, height), side };
}

/** Index into a row or column, with the edge repeated outside. */
const clamp = (i: number, length: number): number => Math.min(Math.max(i, 0), length - 1);

/** The region's pixels at the model's size. */
export async function cutPicture(
  picture: RgbPicture,
  { left, top, side }: Region,
  modelSide: number,
): Promise<RgbPicture> {
  const { width, height, data } = picture;
  const cut = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    const row = clamp(top + y, height) * width;
    for (let x = 0; x < side; x++) {
      const from = (row + clamp(left + x, width)) * 3;
      cut.set(data.subarray(from, from + 3), (y * side + x) * 3);
    }
  }
  return resize(cut, side, modelSide);
}

/** The region's mask at the model's size: the most that is painted of what each of its pixels covers. */
export function cutMask(mask: PaintMask, { left, top, side }: Region, modelSide: number): Float32Array {
  const out = new Float32Array(modelSide * modelSide);
  const scale = side / modelSide;
  for (let y = 0; y < modelSide; y++) {
    for (let x = 0; x < modelSide; x++) {
      let most = 0;
      for (let v = Math.floor(y * scale); v < Math.max((y + 1) * scale, Math.floor(y * scale) + 1); v++) {
        for (let u = Math.floor(x * scale); u < Math.max((x + 1) * scale, Math.floor(x * scale) + 1); u++) {
          const [py, px] = [top + v, left + u];
          if (py < 0 || px < 0 || py >= mask.height || px >= mask.width) continue;
          most = Math.max(most, mask.data[py * mask.width + px]);
        }
      }
      out[y * modelSide + x] = most;
    }
  }
  return out;
}

/**
 * Lays what was drawn over the picture, as far as the mask paints. Pixels whose mask is 0 are the very bytes of the
 * picture.
 * @param drawn [modelSide, modelSide, 3] in [-1, 1]
 */
export async function paste(
  picture: RgbPicture,
  mask: PaintMask,
  { left, top, side }: Region,
  drawn: Float32Array,
  modelSide: number,
): Promise<RgbPicture> {
  const { data: patch } = await resize(toBytes(drawn), modelSide, side);
  const data = picture.data.slice();
  for (let y = Math.max(0, top); y < Math.min(picture.height, top + side); y++) {
    for (let x = Math.max(0, left); x < Math.min(picture.width, left + side); x++) {
      const weight = mask.data[y * picture.width + x];
      if (weight <= 0) continue;
      const to = (y * picture.width + x) * 3;
      const from = ((y - top) * side + (x - left)) * 3;
      for (let c = 0; c < 3; c++) {
        data[to + c] = Math.round(picture.data[to + c] * (1 - weight) + patch[from + c] * weight);
      }
    }
  }
  return { data, width: picture.width, height: picture.height };
}

async function resize(data: Uint8Array, from: number, to: number): Promise<RgbPicture> {
  if (from === to) return { data, width: to, height: to };
  const raw = { width: from, height: from, channels: 3 as const };
  const resized = await sharp(data, { raw })
    .resize(to, to, { kernel: 'lanczos3' })
    .removeAlpha()
    .raw()
    .toBuffer();
  return { data: new Uint8Array(resized), width: to, height: to };
}

/**
 * Softens a mask's edge on its painted side only: the weight rises over `radius` pixels from the kept side on.
 * @param radius in pixels; 0 changes nothing
 */
export function feather(mask: PaintMask, radius: number): PaintMask {
  if (radius <= 0) return mask;
  const { width, height } = mask;
  // Distance to the nearest kept pixel, in two passes over the picture (Borgefors 1986, weights 1 and √2).
  const far = width + height;
  const distance = Float32Array.from(mask.data, (m) => (m > 0 ? far : 0));
  const relax = (y: number, x: number, dy: number, dx: number, cost: number) => {
    const [v, u] = [y + dy, x + dx];
    if (v < 0 || u < 0 || v >= height || u >= width) return;
    const i = y * width + x;
    distance[i] = Math.min(distance[i], distance[v * width + u] + cost);
  };
  const pass = (forward: boolean) => {
    const s = forward ? -1 : 1;
    for (let k = 0; k < width * height; k++) {
      const i = forward ? k : width * height - 1 - k;
      const [y, x] = [Math.floor(i / width), i % width];
      relax(y, x, 0, s, 1);
      relax(y, x, s, 0, 1);
      relax(y, x, s, s, Math.SQRT2);
      relax(y, x, s, -s, Math.SQRT2);
    }
  };
  pass(true);
  pass(false);
  const data = mask.data.map((m, i) => m * Math.min(1, distance[i] / (radius + 1)));
  return { ...mask, data };
}
