#!/bin/bash
# The same on every node, with NODE_RANK 0, 1, ...; torchrun restarts what fails, and a restarted run resumes.
#
#   NODE_RANK=0 MASTER_ADDR=10.0.0.1 examples/clusters/torchrun.sh
set -e
RUN=/shared/runs/tulu2-7b
RESUME=()
if [ -d "$RUN/checkpoints" ]; then RESUME=(--resume); fi

# torchrun sets OMP_NUM_THREADS=1 unless told otherwise; Camelid divides the node's cores among its ranks by itself.
exec torchrun --no-python --nnodes 2 --node-rank "$NODE_RANK" --nproc-per-node 8 \
  --master-addr "$MASTER_ADDR" --master-port 29500 --max-restarts 3 \
  npx camelid sft --preset tulu2-7b --model /shared/models/llama-2-7b \
  --data /shared/data/tulu2/train.jsonl --out "$RUN" "${RESUME[@]}"
