/**
 * PyTorch's CPU generator, so that a picture made by diffusers from a seed can be made again: Mersenne Twister
 * (Matsumoto & Nishimura 1998, mt19937) and the normal numbers that torch.randn makes of it (Box & Muller 1958).
 */

const N = 624;
const M = 397;

/** 32-bit words of mt19937. */
class MersenneTwister {
  private readonly state = new Uint32Array(N);
  private next = N;

  /** @param seed of which, as in PyTorch, the low 32 bits count */
  constructor(seed: number) {
    const { state } = this;
    state[0] = seed % 2 ** 32;
    for (let i = 1; i < N; i++) {
      const previous = state[i - 1] ^ (state[i - 1] >>> 30);
      state[i] = Math.imul(1812433253, previous) + i;
    }
  }

  private turn(): void {
    const { state } = this;
    for (let i = 0; i < N; i++) {
      const mixed = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
      state[i] = state[(i + M) % N] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }

  word(): number {
    if (this.next === N) this.turn();
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }
}

const BLOCK = 16;
const HALF = BLOCK / 2;

/** `torch.Generator('cpu').manual_seed(seed)`, for float32 normal numbers. */
export class TorchRandom {
  private readonly twister: MersenneTwister;
  /** The second number of the last pair, which torch keeps between small draws. */
  private kept: number | null = null;

  /** @param seed whole, from 0 to 2^53 */
  constructor(seed: number) {
    this.twister = new MersenneTwister(seed);
  }

  /**
   * `torch.randn(length, generator=self)`. Torch draws fewer than 16 numbers one by one in double precision, and
   * more of them in blocks of 16: eight radii, then eight angles. Its vectorized logarithm and cosine differ from
   * these in the last bits.
   */
  normal(length: number): Float32Array {
    const out = new Float32Array(length);
    if (length < BLOCK) {
      for (let i = 0; i < length; i++) out[i] = this.single();
      return out;
    }
    for (let i = 0; i < length; i++) out[i] = this.uniform();
    const whole = length - (length % BLOCK);
    for (let at = 0; at < whole; at += BLOCK) toNormal(out, at);
    if (whole < length) {
      // The last block is drawn anew, over the end of the one before.
      const at = length - BLOCK;
      for (let i = at; i < length; i++) out[i] = this.uniform();
      toNormal(out, at);
    }
    return out;
  }

  /** In [0, 1), 24 bits. */
  private uniform(): number {
    return (this.twister.word() & 0xffffff) / 2 ** 24;
  }

  /** In [0, 1), 53 bits of two words, the high one first. */
  private double(): number {
    const high = this.twister.word();
    const low = this.twister.word();
    return ((high & 0x1fffff) * 2 ** 32 + low) / 2 ** 53;
  }

  private single(): number {
    if (this.kept !== null) {
      const { kept } = this;
      this.kept = null;
      return kept;
    }
    const angle = 2 * Math.PI * this.double();
    const radius = Math.sqrt(-2 * Math.log1p(-this.double()));
    this.kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/** Turns 16 uniform numbers from `at` into normal ones, in place. */
function toNormal(data: Float32Array, at: number): void {
  for (let i = at; i < at + HALF; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - data[i]));
    const angle = 2 * Math.PI * data[i + HALF];
    data[i] = radius * Math.cos(angle);
    data[i + HALF] = radius * Math.sin(angle);
  }
}
