// Inpaints the middle of a picture and checks that every pixel which the mask keeps has the same bytes.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import sharp from 'sharp';

const [work, sumi, model, picture] = process.argv.slice(2);
const { data: before, info } = await sharp(picture).removeAlpha().raw().toBuffer({ resolveWithObject: true });
const { width, height } = info;
const mask = Buffer.alloc(width * height);
for (let y = Math.floor(height / 4); y < height / 2; y++) {
  mask.fill(255, y * width + Math.floor(width / 4), y * width + Math.floor(width / 2));
}
const maskFile = join(work, 'mask.png');
const out = join(work, 'inpainted.png');
await sharp(mask, { raw: { width, height, channels: 1 } })
  .png()
  .toFile(maskFile);
const args = [
  sumi,
  'inpaint',
  '--model',
  model,
  '--image',
  picture,
  '--mask',
  maskFile,
  '--out',
  out,
  '--quiet',
];
execFileSync(process.execPath, args, { stdio: 'inherit' });
const after = await sharp(out).removeAlpha().raw().toBuffer();
let painted = 0;
for (let i = 0; i < width * height; i++) {
  const same = before.subarray(i * 3, i * 3 + 3).equals(after.subarray(i * 3, i * 3 + 3));
  if (mask[i] === 0 && !same) throw new Error(`pixel ${i} was to be kept and changed`);
  if (mask[i] > 0 && !same) painted++;
}
if (painted === 0) throw new Error('nothing was painted');
console.log(`inpaint: ${painted} pixels painted, all others kept`);
