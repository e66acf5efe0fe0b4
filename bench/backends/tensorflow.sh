#!/bin/sh
# Makes --engine tensorflow run where tfjs-node's own installer cannot download: builds the addon of
# @tensorflow/tfjs-node against the libtensorflow inside PyPI's tensorflow wheel, on Linux x64 with Node 20 or 22.
#
#   bench/backends/tensorflow.sh [FOLDER]
#
# FOLDER has the node_modules that Sumi runs from (default: this checkout). Needs npm, python3 with pip, g++ and 2 GB of
# disk. package.json stays as it is: the next `npm ci` takes everything away again.
set -eu
cd "${1:-$(dirname "$0")/../..}"
tfjs=4.22.0
tensorflow=2.15.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm i --no-save --ignore-scripts --no-audit --no-fund "@tensorflow/tfjs-node@$tfjs"
npm i --prefix "$work" --no-audit --no-fund node-api-headers
python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 \
  --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 -d "$work" "tensorflow-cpu==$tensorflow"

package=node_modules/@tensorflow/tfjs-node
rm -rf "$package/deps"
python3 - "$work" "$package/deps" <<'PYTHON'
import glob, os, shutil, sys, zipfile
work, deps = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(f"{work}/*.whl")[0])
for name in wheel.namelist():
    inside = name.removeprefix("tensorflow/")
    if inside.startswith("libtensorflow"):
        target = f"{deps}/lib/{inside}"
    elif inside.startswith(("include/tensorflow/", "include/tsl/")) and inside.endswith(".h"):
        target = f"{deps}/{inside}"
    else:
        continue
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with wheel.open(name) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out)
PYTHON

mkdir -p "$package/lib/napi-v8"
g++ -O2 -std=c++17 -fPIC -shared -DNAPI_VERSION=8 -I"$work/node_modules/node-api-headers/include" \
  -I"$package/deps/include" "$package"/binding/*.cc -o "$package/lib/napi-v8/tfjs_binding.node" \
  -L"$package/deps/lib" -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 '-Wl,-rpath,$ORIGIN/../../deps/lib'
node -e "
const tf = require('@tensorflow/tfjs');
require('@tensorflow/tfjs-node');
console.log('--engine tensorflow is ready: backend ' + tf.getBackend());"
