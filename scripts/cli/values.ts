/** Catches values that yargs swallows: `--steps`, `--steps=`, `--steps ten`, `--no-steps`, `--json=maybe`. */

/** The part of yargs's getOptions() that is used here: names of options (and their aliases) by type. */
export interface OptionTypes {
  readonly number: readonly string[];
  readonly string: readonly string[];
  readonly boolean: readonly string[];
  /** Those that may be given several times. */
  readonly array: readonly string[];
}

const isValue = (word: string | undefined): boolean =>
  word !== undefined && (!word.startsWith('-') || word === '-' || /^-[\d.]/.test(word));

function fault(word: string, next: string | undefined, types: OptionTypes): string | undefined {
  const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
  if (name === undefined) return undefined;
  const takesNumber = types.number.includes(name);
  if (takesNumber || types.string.includes(name)) {
    if (value === undefined ? !isValue(next) : takesNumber && value.trim() === '')
      return `no value for --${name}`;
  }
  if (types.boolean.includes(name) && value !== undefined && value !== 'true' && value !== 'false') {
    return `--${name} takes no value`;
  }
  const negated = name.startsWith('no-') ? name.slice(3) : undefined;
  if (negated && (types.number.includes(negated) || types.string.includes(negated)))
    return `there is no option --${name}`;
  return undefined;
}

/**
 * Of an option that was given several times the last value counts, but for options that take several.
 * @param words the words after `sumi`
 * @param parsed what yargs made of them; changed in place
 */
export function keepLast(
  words: readonly string[],
  parsed: Record<string, unknown>,
  types: OptionTypes,
): void {
  for (const [name, value] of Object.entries(parsed)) {
    if (name !== '_' && Array.isArray(value) && !types.array.includes(name)) parsed[name] = value.at(-1);
  }
  // yargs adds a 1 to the number before it, as if it were counting.
  for (const [name, value] of typedLast(words)) {
    if (types.number.includes(name) && value.trim() !== '') parsed[name] = Number(value);
  }
}

/** The last value of each option as it was typed, by its long name. */
function typedLast(words: readonly string[]): Map<string, string> {
  const last = new Map<string, string>();
  for (const [i, word] of optionWords(words).entries()) {
    const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name !== undefined) last.set(name, value ?? words[i + 1] ?? '');
  }
  return last;
}

/**
 * Gives options that stand without a value the one that they mean then.
 * @param words the words after `sumi`
 * @param bare that value, by the option's name
 */
export function fillBare(words: readonly string[], bare: ReadonlyMap<string, number>): string[] {
  const typed = optionWords(words);
  return words.map((word, i) => {
    const value = i < typed.length && word.startsWith('--') ? bare.get(word.slice(2)) : undefined;
    return value === undefined || isValue(typed[i + 1]) ? word : `${word}=${value}`;
  });
}

/** Those before a `--`, which ends options. */
function optionWords(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--');
  return end < 0 ? words : words.slice(0, end);
}

/**
 * Checks what was typed against the types of the options.
 * @param words the words after `sumi`
 * @param parsed what yargs made of them
 * @throws Error, whose message yargs reports as a usage error
 */
export function checkValues(
  words: readonly string[],
  parsed: Record<string, unknown>,
  types: OptionTypes,
): void {
  const typed = optionWords(words);
  typed.forEach((word, i) => {
    const message = fault(word, typed[i + 1], types);
    if (message) throw new Error(message);
  });
  // Nothing of ours means NaN.
  for (const [name, value] of Object.entries(parsed)) {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    if (values.some((v) => typeof v === 'number' && Number.isNaN(v)))
      throw new Error(`--${name} needs a number`);
  }
}
