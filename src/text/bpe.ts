/** Byte-pair encoding (Sennrich, Haddow & Birch 2016) over the bytes of words, as CLIP has it. */

/** What marks the last symbol of a word. */
const END = '</w>';

/**
 * A printable character for every byte (GPT-2's table; Radford et al. 2019, section 2.2): printable Latin-1 stands for
 * itself, the rest follows from U+0100 on.
 */
const byteCharacters: readonly string[] = (() => {
  const printable = (b: number) => (b > 32 && b < 127) || (b > 160 && b !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
})();

/** Splits words into the tokens of a vocabulary. */
export class BytePairs {
  private readonly ranks: ReadonlyMap<string, number>;
  private readonly known = new Map<string, readonly string[]>();

  /** @param merges pairs that become one symbol, the first to be merged first */
  constructor(merges: readonly (readonly [string, string])[]) {
    this.ranks = new Map(merges.map(([a, b], rank) => [`${a} ${b}`, rank]));
  }

  /** The tokens of a word: symbols of its bytes, merged as long as the table knows a pair. */
  split(word: string): readonly string[] {
    const known = this.known.get(word);
    if (known) return known;
    let symbols = Array.from(Buffer.from(word, 'utf8'), (byte) => byteCharacters[byte]);
    if (symbols.length > 0) symbols[symbols.length - 1] += END;
    for (let pair = this.best(symbols); pair !== null; pair = this.best(symbols)) {
      const [a, b] = pair;
      const merged: string[] = [];
      for (let i = 0; i < symbols.length; i++) {
        const meets = symbols[i] === a && symbols[i + 1] === b;
        merged.push(meets ? a + b : symbols[i]);
        if (meets) i++;
      }
      symbols = merged;
    }
    this.known.set(word, symbols);
    return symbols;
  }

  /** The pair of neighbours that was merged first in training; null when there is none. */
  private best(symbols: readonly string[]): readonly [string, string] | null {
    let lowest = Number.POSITIVE_INFINITY;
    let found: readonly [string, string] | null = null;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = this.ranks.get(`${symbols[i]} ${symbols[i + 1]}`);
      if (rank === undefined || rank >= lowest) continue;
      lowest = rank;
      found = [symbols[i], symbols[i + 1]];
    }
    return found;
  }
}
