/** What keeps onnxruntime-node's download away: see docs/engine.md, "CUDA libraries". */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const preinstall = path.join(root, 'tools/preinstall.cjs');
const standIn = path.join(root, 'tools/global-agent/index.cjs');
const ort = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));

/** The environment without what npm and the user may have set. */
function bareEnv(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/onnxruntime/i.test(name));
  return { ...Object.fromEntries(kept), ...extra };
}

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'sumi-install-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('tools/preinstall.cjs', () => {
  /** node_modules as npm lays it out, with the metadata of the installed onnxruntime-node. */
  function layOut(): { sumi: string; libraries: string } {
    const fake = path.join(dir, 'node_modules/onnxruntime-node');
    const libraries = path.join(fake, 'bin/napi-v6', process.platform, process.arch);
    const sumi = path.join(dir, 'node_modules/sumi');
    for (const folder of [libraries, path.join(fake, 'script'), sumi]) mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(fake, 'package.json'), '{"name":"onnxruntime-node","version":"0.0.0"}');
    for (const file of ['install-metadata.js', 'install-metadata-versions.js']) {
      writeFileSync(path.join(fake, 'script', file), readFileSync(path.join(ort, 'script', file)));
    }
    return { sumi, libraries };
  }
  const run = (cwd: string, env = bareEnv()) => spawnSync(process.execPath, [preinstall], { cwd, env });
  const onLinux = it.runIf(process.platform === 'linux' && process.arch === 'x64');

  onLinux('lays an empty file for each library that the install script wants', () => {
    const { sumi, libraries } = layOut();
    expect(run(sumi).status).toBe(0);
    const { manifests } = createRequire(import.meta.url)(path.join(ort, 'script/install-metadata.js'));
    const wanted = Object.keys(manifests['linux/x64:cuda12']).map((file) => path.basename(file));
    expect(wanted.length).toBeGreaterThan(0);
    expect(readdirSync(libraries).sort()).toEqual(wanted.sort());
    for (const file of wanted) expect(statSync(path.join(libraries, file)).size).toBe(0);
  });

  onLinux('leaves a library that is there alone', () => {
    const { sumi, libraries } = layOut();
    const library = path.join(libraries, 'libonnxruntime_providers_cuda.so');
    writeFileSync(library, 'real');
    run(sumi);
    expect(readFileSync(library, 'utf8')).toBe('real');
  });

  it('lays nothing where CUDA is asked for', () => {
    const { sumi, libraries } = layOut();
    expect(run(sumi, bareEnv({ ONNXRUNTIME_NODE_INSTALL: 'cuda12' })).status).toBe(0);
    expect(readdirSync(libraries)).toEqual([]);
  });

  it('does not stop an installation without onnxruntime-node', () => {
    const { status, stderr } = run(dir);
    expect(status).toBe(0);
    expect(String(stderr)).toBe('');
  });
});

describe('tools/global-agent', () => {
  const settingAfter = (env: Record<string, string>): string => {
    const script = `require(${JSON.stringify(standIn)}).bootstrap(); console.log(process.env.ONNXRUNTIME_NODE_INSTALL)`;
    return spawnSync(process.execPath, ['-e', script], { env: bareEnv(env), encoding: 'utf8' }).stdout.trim();
  };

  it('makes "skip" the default of the install script', () => expect(settingAfter({})).toBe('skip'));

  it.each([
    [{ ONNXRUNTIME_NODE_INSTALL: 'true' }, 'true'],
    [{ npm_config_onnxruntime_node_install: 'true' }, 'undefined'],
    [{ ONNXRUNTIME_NODE_INSTALL_CUDA: 'v12' }, 'undefined'],
  ])('leaves what the user set: %o', (env, expected) => {
    expect(settingAfter(env as unknown as Record<string, string>)).toBe(expected);
  });

  it('is what the install script of this checkout loads, and ends it without a download', () => {
    const { status, stderr } = spawnSync(process.execPath, [path.join(ort, 'script/install.js')], {
      // As npm runs it: no local installation in the script's own sense.
      env: bareEnv({ npm_package_json: path.join(ort, 'package.json'), npm_config_local_prefix: root }),
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const resolved = createRequire(path.join(ort, 'script/install.js')).resolve('global-agent');
    expect(path.relative(root, resolved)).toBe(path.join('tools', 'global-agent', 'index.cjs'));
  });
});
