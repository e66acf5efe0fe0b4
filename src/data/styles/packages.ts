/** Packages that Sumi can do without: found when they are there, named when they are not. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { InputError } from '../../errors.js';

/**
 * Loads a CommonJS or JSON file of a package.
 * @param from folders to look from; default where Sumi is installed, then where the user works (Sumi may be
 *   installed globally)
 * @returns null when there is no such package or file
 */
export function requirePackageFile(file: string, from?: readonly string[]): unknown | null {
  const places = from?.map((folder) => join(folder, 'package.json')) ?? [
    import.meta.url,
    join(process.cwd(), 'package.json'),
  ];
  for (const place of places) {
    try {
      return createRequire(place)(file) as unknown;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return null;
}

/** The line that says what to install. */
export function missingPackages(collection: string, packages: readonly string[]): InputError {
  const wanted = packages.join(' ');
  return new InputError(
    `the drawings are not installed — sumi dataset ${collection} — run: npm install ${wanted}`,
  );
}

/** Version of an installed package, from the package.json above its entry file. */
export function versionOf(name: string): string {
  let folder = dirname(createRequire(import.meta.url).resolve(name));
  for (;;) {
    const path = join(folder, 'package.json');
    if (existsSync(path)) {
      const manifest = JSON.parse(readFileSync(path, 'utf8')) as { name?: string; version?: string };
      if (manifest.name === name) return manifest.version ?? 'unknown';
    }
    if (dirname(folder) === folder) return 'unknown';
    folder = dirname(folder);
  }
}
