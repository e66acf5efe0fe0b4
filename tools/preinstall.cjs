// When Sumi is installed as a dependency, npm runs every package's `preinstall` before any `postinstall`.
// onnxruntime-node's postinstall downloads CUDA libraries from outside the npm registry on linux/x64 and
// fails the whole install where that host cannot be reached. It skips the download when the files exist, so
// empty placeholders are laid first. They are never loaded: Sumi treats an empty file as "CUDA not installed"
// and `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node` replaces them with the real ones.
const fs = require('node:fs');
const path = require('node:path');

try {
  const wanted =
    process.env.ONNXRUNTIME_NODE_INSTALL ||
    process.env.ONNXRUNTIME_NODE_INSTALL_CUDA ||
    process.env.npm_config_onnxruntime_node_install;
  if (!wanted && process.platform === 'linux' && process.arch === 'x64') {
    const root = path.dirname(require.resolve('onnxruntime-node/package.json', { paths: [process.cwd()] }));
    const metadata = require(path.join(root, 'script/install-metadata.js'));
    for (const name of metadata.requirements['linux/x64'] ?? []) {
      for (const file of Object.keys(metadata.manifests[`linux/x64:${name}`] ?? {})) {
        const target = path.join(root, 'bin/napi-v6/linux/x64', file);
        if (!fs.existsSync(target)) fs.writeFileSync(target, '');
      }
    }
  }
} catch {
  // Nothing to prepare (another layout, another version): npm goes on as it would have without us.
}
