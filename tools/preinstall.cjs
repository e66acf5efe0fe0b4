// When Sumi is installed as a dependency, npm runs every package's `preinstall` before any `postinstall`.
// onnxruntime-node's postinstall downloads CUDA libraries from outside the npm registry on linux/x64 and
// fails the whole install where that host cannot be reached. It skips the download when the files exist, so
// empty placeholders are laid first. They are never loaded: Sumi treats an empty file as "CUDA not installed",
// and docs/engine.md says how to replace them with the real ones.
const fs = require('node:fs');
const path = require('node:path');

try {
  const { env, platform, arch } = process;
  const wanted =
    env.ONNXRUNTIME_NODE_INSTALL ||
    env.ONNXRUNTIME_NODE_INSTALL_CUDA ||
    env.npm_config_onnxruntime_node_install ||
    env.npm_config_onnxruntime_node_install_cuda;
  if (!wanted) {
    const root = path.dirname(require.resolve('onnxruntime-node/package.json', { paths: [process.cwd()] }));
    const { requirements, manifests } = require(path.join(root, 'script/install-metadata.js'));
    for (const name of requirements[`${platform}/${arch}`] ?? []) {
      for (const file of Object.keys(manifests[`${platform}/${arch}:${name}`] ?? {})) {
        const target = path.join(root, 'bin/napi-v6', platform, arch, file);
        if (!fs.existsSync(target)) fs.writeFileSync(target, '');
      }
    }
  }
} catch {
  // Nothing to prepare (another layout, another version): npm goes on as it would have without us.
}
