/**
 * Seeded random numbers that can be asked for in any order. The generator is counter-based: Philox4x32-10
 * (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The i-th number of a
 * sequence is a pure function of (seed, stream, i), so nothing depends on batch sizes or on who drew before.
 */
import { createHash } from 'node:crypto';
import { InputError } from './errors.js';

/** A label of a stream; `1` and `'1'` are different labels. */
export type StreamLabel = number | string;

/** What `Random.state()` gives: plain JSON, from which `Random.fromState()` goes on bit for bit. */
export interface RandomState {
  /** The seed as a decimal string (64-bit seeds do not fit in a JSON number). */
  seed: string;
  stream: StreamLabel[];
  /** How many numbers of each kind have been drawn (for `int`: how many 32-bit words were used). */
  drawn: { uniform: number; normal: number; int: number };
}

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9; // golden ratio
const W1 = 0xbb67ae85; // sqrt(3) - 1
const ROUNDS = 10;
const TWO_32 = 2 ** 32;

/** High 32 bits of the product of two unsigned 32-bit numbers, by 16-bit halves; Math.imul has only the low ones. */
function mulHigh(a: number, m: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const ml = m & 0xffff;
  const mh = m >>> 16;
  const lowHigh = Math.imul(al, mh);
  const highLow = Math.imul(ah, ml);
  const middle = (Math.imul(al, ml) >>> 16) + (lowHigh & 0xffff) + (highLow & 0xffff);
  return (Math.imul(ah, mh) + (lowHigh >>> 16) + (highLow >>> 16) + (middle >>> 16)) | 0;
}

/**
 * The Philox4x32-10 bijection: ten rounds over a 128-bit counter with a 64-bit key, words least significant first.
 * @param out receives the four random words
 */
export function philox4x32(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  key0: number,
  key1: number,
  out: Uint32Array,
): void {
  let x0 = c0 | 0;
  let x1 = c1 | 0;
  let x2 = c2 | 0;
  let x3 = c3 | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const low0 = Math.imul(x0, M0);
    const high0 = mulHigh(x0, M0);
    const low1 = Math.imul(x2, M1);
    const high1 = mulHigh(x2, M1);
    x0 = high1 ^ x1 ^ k0;
    x1 = low1;
    x2 = high0 ^ x3 ^ k1;
    x3 = low0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

/** Each kind of number has its own sequence, told apart by the top byte of the block counter. */
const LANE = { uniform: 0, normal: 1, int: 2 } as const;
type Kind = keyof typeof LANE;

/**
 * A seeded source of random numbers with three independent sequences: uniform, normal, and integer.
 *
 * Drawing 3 and then 5 gives the same numbers as drawing 8 at once, and drawing of one kind never moves another
 * kind's sequence. Generators with different seeds or different stream labels are independent: picture *i* of
 * seed *s* can use `new Random(s + i)` in a batch of any size, and each of its uses a `fork` of its own.
 */
export class Random {
  readonly seed: bigint;
  readonly stream: readonly StreamLabel[];
  private readonly key: readonly [number, number];
  private readonly streamWords: readonly [number, number];
  private readonly drawn = { uniform: 0, normal: 0, int: 0 };
  private readonly block = new Uint32Array(4);

  /**
   * @param seed any integer of 64 bits (negative ones count modulo 2^64); a number must be a safe integer
   * @param stream labels of an independent stream within the seed
   * @throws InputError when the seed is no such integer or a label is not a finite number
   */
  constructor(seed: number | bigint, ...stream: StreamLabel[]) {
    this.seed = checkSeed(seed);
    this.stream = stream.map(checkLabel);
    this.key = [Number(this.seed & 0xffffffffn), Number(this.seed >> 32n)];
    // 64 bits of SHA-256 keep streams apart; JSON keeps the label lists apart.
    const digest = createHash('sha256').update(JSON.stringify(this.stream)).digest();
    this.streamWords = [digest.readUInt32LE(0), digest.readUInt32LE(4)];
  }

  /** `n` numbers uniform in [0, 1), multiples of 2^-24. */
  uniform(n: number): Float32Array {
    const out = new Float32Array(checkCount(n));
    const start = this.drawn.uniform;
    for (let at = start, i = 0; i < n; ) {
      this.fillBlock('uniform', Math.floor(at / 4));
      for (let word = at % 4; word < 4 && i < n; word++, at++) out[i++] = (this.block[word] >>> 8) * 2 ** -24;
    }
    this.drawn.uniform += n;
    return out;
  }

  /** `n` numbers of the standard normal distribution (Box & Muller 1958), within ±6.7. */
  normal(n: number): Float32Array {
    const out = new Float32Array(checkCount(n));
    const start = this.drawn.normal;
    const four = new Float64Array(4);
    for (let at = start, i = 0; i < n; ) {
      this.fillBlock('normal', Math.floor(at / 4));
      boxMuller(this.block[0], this.block[1], four, 0);
      boxMuller(this.block[2], this.block[3], four, 2);
      for (let k = at % 4; k < 4 && i < n; k++, at++) out[i++] = four[k];
    }
    this.drawn.normal += n;
    return out;
  }

  /**
   * One integer uniform in [0, bound), without modulo bias.
   * @param bound from 1 to 2^32
   * @throws InputError when the bound is not such an integer
   */
  int(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > TWO_32)
      throw new InputError(`bound ${bound} is not usable — Random.int — give an integer from 1 to 2^32`);
    const limit = TWO_32 - (TWO_32 % bound); // words from here on would favour small values
    for (;;) {
      const at = this.drawn.int++;
      this.fillBlock('int', Math.floor(at / 4));
      const word = this.block[at % 4];
      if (word < limit) return word % bound;
    }
  }

  /** The integers 0 … n-1 in random order (Fisher–Yates); it draws from the integer sequence. */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: checkCount(n) }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** A generator of the same seed whose stream has further labels; it does not depend on what was drawn here. */
  fork(...stream: StreamLabel[]): Random {
    return new Random(this.seed, ...this.stream, ...stream);
  }

  /** Where this generator stands, as plain JSON. */
  state(): RandomState {
    return { seed: this.seed.toString(), stream: [...this.stream], drawn: { ...this.drawn } };
  }

  /**
   * The generator that goes on where `state` was taken.
   * @throws InputError when `state` is not what `state()` gives
   */
  static fromState(state: RandomState): Random {
    const { seed, stream, drawn } = state ?? {};
    if (typeof seed !== 'string' || !/^\d+$/.test(seed) || !Array.isArray(stream))
      throw new InputError('not a state of the generator — Random.fromState — pass what state() returned');
    const random = new Random(BigInt(seed), ...stream);
    for (const kind of Object.keys(LANE) as Kind[]) random.drawn[kind] = checkCount(drawn?.[kind]);
    return random;
  }

  private fillBlock(kind: Kind, index: number): void {
    const high = (LANE[kind] << 24) | Math.floor(index / TWO_32);
    philox4x32(
      index % TWO_32,
      high,
      this.streamWords[0],
      this.streamWords[1],
      this.key[0],
      this.key[1],
      this.block,
    );
  }
}

/** Two random words become two independent normals: radius sqrt(-2·ln u), angle 2π·v. */
function boxMuller(word0: number, word1: number, out: Float64Array, at: number): void {
  const radius = Math.sqrt(-2 * Math.log((word0 + 1) / TWO_32)); // u in (0, 1], so that the logarithm is finite
  const angle = word1 * ((2 * Math.PI) / TWO_32);
  out[at] = radius * Math.cos(angle);
  out[at + 1] = radius * Math.sin(angle);
}

function checkSeed(seed: number | bigint): bigint {
  const ok = typeof seed === 'bigint' ? seed >= -(2n ** 63n) && seed < 2n ** 64n : Number.isSafeInteger(seed);
  if (!ok) throw new InputError(`seed ${seed} is not usable — Random — give an integer of at most 64 bits`);
  return BigInt.asUintN(64, BigInt(seed));
}

function checkLabel(label: StreamLabel): StreamLabel {
  if (typeof label === 'string' || (typeof label === 'number' && Number.isFinite(label))) return label;
  throw new InputError(
    `stream label ${String(label)} is not usable — Random — give strings or finite numbers`,
  );
}

function checkCount(n: number): number {
  if (Number.isSafeInteger(n) && n >= 0) return n;
  throw new InputError(`count ${n} is not usable — Random — give an integer of 0 or more`);
}
