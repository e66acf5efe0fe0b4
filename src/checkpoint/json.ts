/**
 * The JSON that diffusers reads and writes. Python's json module also knows Infinity and NaN, and schedulers use
 * them (`lambda_min_clipped: -Infinity`), so plain JSON.parse and JSON.stringify would fail or lose them.
 */
import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { fileError } from '../files/index.js';

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [key: string]: JsonValue | undefined };
export type JsonObject = { [key: string]: JsonValue | undefined };

/** Parses JSON with Python's Infinity and -Infinity; NaN becomes null. @throws SyntaxError */
export function parseJson(text: string): JsonValue {
  const standard = text.replaceAll(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) =>
    token === 'NaN' ? 'null' : token === 'Infinity' ? '1e999' : token === '-Infinity' ? '-1e999' : token,
  );
  return JSON.parse(standard) as JsonValue;
}

/** Writes JSON as diffusers does: two spaces, sorted keys, Python's infinities, a newline at the end; NaN is null. */
export function formatJson(value: JsonValue): string {
  return `${format(value, '\n')}\n`;
}

function format(value: JsonValue, newline: string): string {
  const inner = `${newline}  `;
  if (typeof value === 'number' && !Number.isFinite(value))
    return Number.isNaN(value) ? 'null' : String(value);
  if (Array.isArray(value)) {
    return value.length
      ? `[${inner}${value.map((v) => format(v, inner)).join(`,${inner}`)}${newline}]`
      : '[]';
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${JSON.stringify(k)}: ${format(v as JsonValue, inner)}`);
  return fields.length ? `{${inner}${fields.join(`,${inner}`)}${newline}}` : '{}';
}

/**
 * Reads a file that holds one JSON object.
 * @throws InputError when there is none, or its content is something else
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  let value: JsonValue;
  try {
    value = parseJson(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new InputError(`not JSON (${error.message}) — ${path} — mend the file or write it again`);
    }
    throw fileError(error, path, 'cannot read');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`a JSON object is needed — ${path} — mend the file or write it again`);
  }
  return value;
}
