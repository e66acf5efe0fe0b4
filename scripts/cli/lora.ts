/** `--lora FILE[:SCALE]`, once for each file. */
import path from 'node:path';
import { InputError } from '../../src/errors.js';
import { isDirectory, isFile } from '../../src/files/index.js';
import type { LoraFile } from '../../src/lora/index.js';

export interface LoraArgs {
  lora?: string[];
}

/**
 * Reads `FILE` or `FILE:SCALE`; a file whose name ends in a colon and a number is taken as it is.
 * @throws InputError when there is no file, or what follows the colon is no number
 */
async function parse(text: string): Promise<LoraFile> {
  const exists = async (file: string) => (await isFile(file)) || (await isDirectory(file));
  if (text.trim() === '') throw new InputError('no file — --lora — name a .safetensors file');
  if (await exists(text)) return { path: text, scale: 1 };
  const colon = text.lastIndexOf(':');
  const [file, after] = [text.slice(0, colon), text.slice(colon + 1)];
  if (colon > 0 && (await exists(file))) {
    const scale = after.trim() === '' ? Number.NaN : Number(after);
    if (Number.isFinite(scale)) return { path: file, scale };
    throw new InputError(`"${after}" is no number — --lora ${text} — give FILE or FILE:SCALE, as in x:0.8`);
  }
  const named = colon > 0 && Number.isFinite(Number(after)) ? file : text;
  throw new InputError(`no such LoRA file — ${named} — check the path`);
}

/** The files of a command's arguments, in their order. */
export async function loraFiles({ lora }: LoraArgs): Promise<LoraFile[]> {
  const files: LoraFile[] = [];
  for (const text of lora ?? []) files.push(await parse(text));
  return files;
}

/** What a picture's recipe says of them: names without folders, with their scales. */
export function loraFacts(files: readonly LoraFile[]): { loras?: string[] } {
  if (files.length === 0) return {};
  return { loras: files.map(({ path: file, scale = 1 }) => `${path.basename(file)}:${scale}`) };
}
