/** The files of a checkpoint: what should not lie there, and what cannot be read. */
import { constants } from 'node:fs';
import { access, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { some } from '../checkpoint/load.js';
import { isLeftover } from '../files/index.js';
import type { Findings } from './findings.js';

/** Folders inside folders of a checkpoint that are looked into, and entries that are looked at. */
const DEPTH = 3;
const MOST = 5000;

const PICKLE = /\.(bin|pt|pth|ckpt|pkl|pickle)$/i;
const PARTIAL = /\.(incomplete|part|partial|tmp|crdownload|download)$/i;
const WEIGHTS = /\.safetensors$/i;

interface Entry {
  /** Relative to the checkpoint. */
  readonly name: string;
  readonly path: string;
  readonly folder: boolean;
}

async function entriesOf(dir: string, root: string, depth: number): Promise<Entry[]> {
  const found: Entry[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
    const path = join(dir, entry.name);
    const folder = entry.isDirectory();
    found.push({ name: relative(root, path), path, folder });
    if (folder && depth > 0 && found.length < MOST) found.push(...(await entriesOf(path, root, depth - 1)));
  }
  return found.slice(0, MOST);
}

/** Whether a file is what git keeps in place of a large one. */
async function isLfsPointer(path: string): Promise<boolean> {
  const { size } = await stat(path);
  if (size > 1024) return false;
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
    return buffer.toString('latin1', 0, bytesRead).startsWith('version https://git-lfs');
  } finally {
    await file.close();
  }
}

/** Looks through a checkpoint's folder. */
export async function examineFiles(dir: string, findings: Findings): Promise<void> {
  const entries = await entriesOf(dir, dir, DEPTH);
  const names = (wanted: (e: Entry) => boolean) => entries.filter(wanted).map((e) => e.name);

  const pickles = names((e) => !e.folder && PICKLE.test(e.name));
  if (pickles.length > 0)
    findings.warn(
      'files',
      `pickles, which can run code when Python opens them: ${some(pickles)} — ${dir} — Sumi does not read them: delete them, or convert them to safetensors`,
    );

  const beside = (await readdir(dirname(resolve(dir))).catch(() => [])).filter((name) =>
    name.startsWith(`.${basename(resolve(dir))}.`),
  );
  const isOld = (name: string) => /^\..+\.old$/.test(name);
  const half = [
    ...names((e) => PARTIAL.test(e.name) || isLeftover(basename(e.name)) || isOld(basename(e.name))),
    ...beside.filter((name) => isLeftover(name) || isOld(name)).map((name) => join('..', name)),
  ];
  if (half.length > 0)
    findings.warn(
      'files',
      `left over from writing that was cut short: ${some(half)} — ${dir} — delete them if nothing writes there`,
    );

  await examineAccess(dir, entries, findings);
}

async function examineAccess(dir: string, entries: readonly Entry[], findings: Findings): Promise<void> {
  const unreadable: string[] = [];
  const broken: string[] = [];
  const closed: string[] = [];
  const open: string[] = [];
  for (const entry of entries) {
    const info = await stat(entry.path).catch(() => null);
    if (!info) {
      broken.push(entry.name);
      continue;
    }
    const readable = await access(entry.path, constants.R_OK).then(
      () => true,
      () => false,
    );
    if (!readable) unreadable.push(entry.name);
    else if (process.platform !== 'win32' && (info.mode & 0o444) === 0) closed.push(entry.name);
    if (process.platform !== 'win32' && info.mode & 0o002) open.push(entry.name);
    if (readable && WEIGHTS.test(entry.name) && info.isFile() && (await isLfsPointer(entry.path)))
      findings.error(
        'files',
        `git's pointer to a large file in place of the file: ${entry.name} — ${dir} — fetch it with "git lfs pull"`,
      );
  }
  if (broken.length > 0)
    findings.warn('files', `links that lead nowhere: ${some(broken)} — ${dir} — copy the files themselves`);
  if (unreadable.length > 0)
    findings.error('files', `no permission to read ${some(unreadable)} — ${dir} — change the rights`);
  if (closed.length > 0)
    findings.warn('files', `nobody else than root may read ${some(closed)} — ${dir} — change the rights`);
  if (open.length > 0)
    findings.warn('files', `anybody may change ${some(open)} — ${dir} — take the right away (chmod o-w)`);
}
