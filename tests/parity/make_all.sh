#!/bin/sh
# Makes every stored reference value anew:  PYTHON=/path/to/python tests/parity/make_all.sh
# Needs torch, transformers, trl, peft, bitsandbytes, safetensors, numpy; versions.json records the ones last used.
set -eu
cd "$(dirname "$0")"
PYTHON="${PYTHON:-python3}"
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error PYTHONDONTWRITEBYTECODE=1
for script in */make.py; do
  echo "== $script"
  "$PYTHON" "$script"
done
"$PYTHON" versions.py
