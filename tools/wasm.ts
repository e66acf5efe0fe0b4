/** Makes src/training/adamw-binary.ts of adamw.wat: `npm run build:wasm`. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import openWabt from 'wabt';

const [source, target] = ['adamw.wat', 'adamw-binary.ts'].map(
  (name) => new URL(`../src/training/${name}`, import.meta.url),
);

/** The text of adamw-binary.ts. */
export async function binaryModule(): Promise<string> {
  const wabt = await openWabt();
  const parsed = wabt.parseWat('adamw.wat', await readFile(source, 'utf8'), { simd: true });
  try {
    parsed.validate();
    const base64 = Buffer.from(parsed.toBinary({}).buffer).toString('base64');
    const lines = base64.match(/.{1,100}/g) ?? [];
    return [
      '/** adamw.wat as a module, made by `npm run build:wasm`. */',
      'export const ADAMW = [',
      ...lines.map((line) => `  '${line}',`),
      "].join('');",
      '',
    ].join('\n');
  } finally {
    parsed.destroy();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(target, await binaryModule());
