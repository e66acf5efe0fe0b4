/** Features of pictures that do not change are worked out once. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { readSafetensors, writeSafetensors } from '../checkpoint/safetensors.js';
import { isFile } from '../files/index.js';
import type { ExtractorIdentity, Matrix } from './extractor.js';
import type { PictureSet } from './picture-set.js';

/**
 * Features of a set from a file of the folder, or computed and kept there. The file's name is made of the pictures and
 * the network, so that no other features can be taken for them.
 */
export async function cachedFeatures(
  folder: string,
  { fingerprint, count }: PictureSet,
  identity: ExtractorIdentity,
  compute: () => Promise<Matrix>,
): Promise<Matrix> {
  const key = createHash('sha256')
    .update(JSON.stringify([fingerprint, identity]))
    .digest('hex');
  const file = join(folder, `features-${key.slice(0, 32)}.safetensors`);
  if (await isFile(file)) {
    // A damaged file is made anew.
    const kept = await readSafetensors(file).catch(() => null);
    const found = kept?.tensors.get('features');
    if (found && `${found.shape}` === `${[count, identity.dimensions]}`)
      return { rows: count, columns: identity.dimensions, data: found.data as Float32Array };
  }
  const made = await compute();
  await writeSafetensors(file, { features: { shape: [made.rows, made.columns], data: made.data } });
  return made;
}
