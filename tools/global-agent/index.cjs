// onnxruntime-node's install script downloads CUDA libraries from outside the npm registry and fails `npm ci` where
// that host cannot be reached. npm 11.19 leaves it out (allowScripts in package.json), npm 10 knows no such thing, and
// the script's own setting in .npmrc makes npm 11 warn at every call. The script asks global-agent for its proxy before
// it looks at its settings: this package, which package.json puts in global-agent's place, changes the default to
// "skip" there. Only a checkout is concerned; where Sumi is a dependency, tools/preinstall.cjs does the work.
const { env } = process;

const setting = [
  'ONNXRUNTIME_NODE_INSTALL',
  'npm_config_onnxruntime_node_install',
  'ONNXRUNTIME_NODE_INSTALL_CUDA',
  'npm_config_onnxruntime_node_install_cuda',
].find((name) => env[name]);

exports.bootstrap = () => {
  if (!setting) env.ONNXRUNTIME_NODE_INSTALL = 'skip';
};
