#!/usr/bin/env bash
# run.sh BUNDLE OUT: unpacks the bundle, compiles the binding against Python's torch, checks numbers, measures speed; see README.md.
#   DEVICE  cuda:0 unless given      SIZES  "1b 7b" unless given      PYTHON  python3 unless given      STEPS  8 unless given
#   LIMIT   570 seconds unless given: what does not fit is skipped, checks come before speed
set -euo pipefail
bundle=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
device=${DEVICE:-cuda:0}
limit=${LIMIT:-570}
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

# part SCRIPT FILE MOST_SECONDS [ARGUMENTS]: runs SCRIPT.mjs, which writes FILE.json, for no longer than is left
part() {
  local script=$1 file=$2 most=$3 left=$((limit - SECONDS))
  shift 3
  if [ "$left" -lt 15 ]; then
    echo "$file: skipped, no time left"
    status=1
    return
  fi
  echo "== $file ($SECONDS s)"
  timeout "$((most < left ? most : left))" ./node "benchmarks/cuda/$script.mjs" --device "$device" --out "$out/$file.json" "$@" || status=$?
}
sizes=${SIZES:-1b 7b}
part parity parity 120
part runtime runtime 120
part collectives collectives 90
part kernels kernels 90
part decode decode 150 --sizes "$sizes"
part speed speed 240 --sizes "$sizes" --steps "${STEPS:-8}"
# The smallest shape once more with libtorch's operators in the place of our kernels.
export CAMELID_CUDA_KERNELS=0
part speed speed-operators 120 --sizes "${sizes%% *}" --steps "${STEPS:-8}"
./node benchmarks/cuda/report.mjs "$out"
exit "$status"
