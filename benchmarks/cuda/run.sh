#!/usr/bin/env bash
# run.sh BUNDLE OUT: unpacks the bundle, compiles the binding against Python's torch, checks numbers, measures speed; see README.md.
#   DEVICE  cuda:0 unless given      SIZES  "1b 7b" unless given      PYTHON  python3 unless given      STEPS  8 unless given
set -euo pipefail
bundle=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
device=${DEVICE:-cuda:0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar --extract --xz --file "$bundle" --directory "$work"
cd "$work/camelid"
export PATH="$PWD:$PATH" XDG_CACHE_HOME="${XDG_CACHE_HOME:-$work/cache}"
if [ -z "${CAMELID_LIBTORCH:-}" ]; then
  origin=$("${PYTHON:-python3}" -c "import importlib.util as u; print(u.find_spec('torch').origin)")
  CAMELID_LIBTORCH=$(dirname "$origin")
  export CAMELID_LIBTORCH
fi
./node packages/torch/dist/setup/main.js
status=0
./node benchmarks/cuda/parity.mjs --device "$device" --out "$out/parity.json" || status=$?
./node benchmarks/cuda/kernels.mjs --device "$device" --out "$out/kernels.json" || status=$?
./node benchmarks/cuda/speed.mjs --device "$device" --sizes "${SIZES:-1b 7b}" --steps "${STEPS:-8}" --out "$out/speed.json" || status=$?
# The smallest shape once more with libtorch's operators in the place of our kernels.
sizes=(${SIZES:-1b 7b})
CAMELID_CUDA_KERNELS=0 ./node benchmarks/cuda/speed.mjs --device "$device" --sizes "${sizes[0]}" --steps "${STEPS:-8}" --out "$out/speed-operators.json" || status=$?
./node benchmarks/cuda/report.mjs "$out"
exit "$status"
