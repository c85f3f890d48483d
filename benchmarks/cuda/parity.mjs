// parity.mjs [--device cuda:0] [--out F]: the device against the CPU in fp32, on a small random model. Exit code 1 when a check fails.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseConfig } from "../../packages/camelid/dist/model/config.js";
import { initModel } from "../../packages/camelid/dist/model/load.js";
import { packedAttention } from "../../packages/camelid/dist/nn/attention.js";
import { scaledNll, tokenLogps } from "../../packages/camelid/dist/nn/log-probs.js";
import { packRows } from "../../packages/camelid/dist/nn/packed-rows.js";
import { varlenKernel } from "../../packages/camelid/dist/nn/varlen-attention.js";
import * as torch from "../../packages/torch/dist/index.js";

const { values } = parseArgs({
  options: { device: { type: "string", default: "cuda:0" }, out: { type: "string" } },
});
const { device } = values;
const installation = torch.installation();
if (!installation.devices.includes(device))
  throw new Error(`libtorch ${installation.version} sees ${installation.devices.join(", ")}, not ${device}`);

const config = parseConfig({
  ...{
    model_type: "llama",
    vocab_size: 1000,
    hidden_size: 512,
    intermediate_size: 1024,
    num_hidden_layers: 4,
  },
  ...{ num_attention_heads: 8, num_key_value_heads: 2, max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
});
torch.manualSeed(0);
const LENGTHS = [37, 300, 1, 129, 64];
const rows = LENGTHS.map((length) => torch.randint(4, 1000, [length]).toArray());
const reference = initModel(config, { dtype: "float32" });
const checks = [];

/** @param limit largest allowed value */
function check(name, value, limit) {
  const passed = value <= limit;
  checks.push({ name, value, limit, passed });
  console.log(`${passed ? "ok  " : "FAIL"} ${name.padEnd(58)} ${value.toExponential(2)}  (at most ${limit})`);
}

function copyOf(model, dtype) {
  const copy = initModel(config, { dtype, device });
  const weights = copy.namedParameters();
  for (const [name, weight] of model.namedParameters()) torch.noGrad(() => weights.get(name).copy_(weight));
  return copy;
}

/** Largest difference, against the size of the reference: |a - b| / (|b|.max + tiny). */
function distance(a, b) {
  return torch.tensorScope(() => {
    const wide = [a, b].map((x) => x.detach().to({ device: "cpu", dtype: "float64" }));
    return wide[0].sub(wide[1]).abs().amax().item() / (wide[1].abs().amax().item() + 1e-30);
  });
}

function pass(model) {
  const ids = rows.map((row) => row);
  const packed = packRows(ids, model.device);
  const places = [];
  let at = 0;
  for (const row of rows) {
    for (let i = 0; i + 1 < row.length; i++) places.push(at + i);
    at += row.length;
  }
  const positions = torch.tensor(places, { dtype: "int64", device: model.device });
  const labels = torch.tensor(
    rows.flatMap((row) => row.slice(1)),
    { dtype: "int64", device: model.device },
  );
  for (const weight of model.namedParameters().values()) weight.requiresGrad = true;
  const hidden = model.hiddenStates(packed);
  const logits = torch.linear(hidden, model.headWeight);
  const { loss, logps } = scaledNll(
    hidden.indexSelect(0, positions),
    model.headWeight,
    labels,
    1 / labels.numel,
  );
  loss.backward();
  return { hidden, logits, loss, logps };
}

const expected = pass(reference);
for (const [dtype, limits] of [
  ["float32", { logits: 1e-4, loss: 1e-5, gradient: 1e-3, alone: 1e-5 }],
  ["bfloat16", { logits: 5e-2, loss: 1e-2, gradient: 1e-1, alone: 5e-2 }],
]) {
  const model = copyOf(reference, dtype);
  const got = pass(model);
  check(`${dtype}: logits against CPU fp32`, distance(got.logits, expected.logits), limits.logits);
  check(`${dtype}: loss against CPU fp32`, distance(got.loss, expected.loss), limits.loss);
  let worst = ["", 0];
  for (const [name, weight] of reference.namedParameters()) {
    const far = distance(model.namedParameters().get(name).grad, weight.grad);
    if (!(far <= worst[1])) worst = [name, far];
  }
  check(`${dtype}: gradients against CPU fp32, worst of all`, worst[1], limits.gradient);

  torch.noGrad(() => {
    const together = model.hiddenStates(packRows(rows, device));
    const alone = torch.cat(rows.map((row) => model.hiddenStates(packRows([row], device))));
    check(`${dtype}: packed rows against each row alone`, distance(together, alone), limits.alone);
    const changed = rows.map((row, i) => (i === 1 ? row.map((id) => (id + 1) % 1000) : row));
    const other = model.hiddenStates(packRows(changed, device));
    const own = (x) => torch.cat([x.narrow(0, 0, 37), x.narrow(0, 337, 194)]);
    check(`${dtype}: rows beside a changed neighbour`, distance(own(other), own(together)), 0);
    const ids = torch.tensor(rows[1], { dtype: "int64", device });
    const sum = tokenLogps(together.narrow(0, 37, 300), model.headWeight, ids)
      .sum()
      .item();
    check(`${dtype}: log-probabilities are finite`, Number.isFinite(sum) ? 0 : Number.POSITIVE_INFINITY, 0);
  });
}

/** Kernels against one row after the other through libtorch's plain attention, at the head sizes that models have. */
for (const dtype of ["float32", "bfloat16"]) {
  for (const [heads, kvHeads, headDim, window] of [
    [8, 8, 64, undefined],
    [8, 2, 128, undefined],
    [4, 1, 256, undefined],
    [8, 2, 64, 48],
  ]) {
    torch.tensorScope(() => {
      const make = (count) => torch.randn([531, count, headDim]);
      const inputs = [make(heads), make(kvHeads), make(kvHeads)];
      const weights = torch.randn([531, heads, headDim]);
      const run = (where, type) => {
        const leaves = inputs.map((x) => x.to({ device: where, dtype: type }).detach());
        for (const leaf of leaves) leaf.requiresGrad = true;
        const output = packedAttention(...leaves, { lengths: LENGTHS }, window);
        return [
          output,
          ...torch.grad([output.mul(weights.to({ device: where, dtype: type })).sum()], leaves),
        ];
      };
      const wanted = run("cpu", "float32");
      const far = run(device, dtype).map((x, i) => distance(x, wanted[i]));
      const name = `${dtype}: attention ${heads}/${kvHeads} x ${headDim}${window ? `, window ${window}` : ""} (${varlenKernel(device, dtype, headDim) ?? "row by row"})`;
      check(name, Math.max(...far), dtype === "float32" ? 1e-4 : 5e-2);
    });
  }
}

const result = {
  device,
  ...installation,
  kernels: {
    float32: varlenKernel(device, "float32", 64) ?? "row by row",
    bfloat16: varlenKernel(device, "bfloat16", 64) ?? "row by row",
  },
  checks,
};
if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
if (checks.some(({ passed }) => !passed)) process.exitCode = 1;
