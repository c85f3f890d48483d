// What the scripts of this folder share: checks that are printed as they are made and end up in a file, and small random models.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseConfig } from "../../packages/camelid/dist/model/config.js";
import * as torch from "../../packages/torch/dist/index.js";

export const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cuda:0" },
    out: { type: "string" },
    rank: { type: "string" },
  },
  strict: false,
});
export const { device } = values;
const checks = [];

/** @param limit largest allowed value; NaN never passes */
export function check(name, value, limit = 0) {
  const passed = value <= limit;
  checks.push({ name, value, limit, passed });
  console.log(`${passed ? "ok  " : "FAIL"} ${name.padEnd(72)} ${value.toExponential(2)}  (at most ${limit})`);
}

/** Passes when `body` returns a number within the limit; what it throws is the check's failure and not the script's. */
export async function attempt(name, body, limit = 0) {
  try {
    check(name, await body(), limit);
  } catch (error) {
    console.log(`     ${error.message.split("\n")[0]}`);
    check(name, Number.NaN, limit);
  }
}

/** Writes the file; the process ends with 1 when a check failed. */
export function finish(more = {}) {
  if (values.out)
    writeFileSync(
      values.out,
      `${JSON.stringify({ device, ...torch.installation(), ...more, checks }, null, 2)}\n`,
    );
  if (checks.some(({ passed }) => !passed)) process.exitCode = 1;
}

export const needDevice = () => {
  const { devices, version } = torch.installation();
  if (!devices.includes(device))
    throw new Error(`libtorch ${version} sees ${devices.join(", ")}, not ${device}`);
};

export const smallConfig = (layers = 4) =>
  parseConfig({
    ...{ model_type: "llama", vocab_size: 1000, hidden_size: 512, intermediate_size: 1024 },
    ...{ num_hidden_layers: layers, num_attention_heads: 8, num_key_value_heads: 2 },
    ...{ max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
  });

/** Largest difference, against the size of the reference: |a - b| / (|b|.max + tiny). */
export function distance(a, b) {
  return torch.tensorScope(() => {
    const wide = [a, b].map((x) => x.detach().to({ device: "cpu", dtype: "float64" }));
    return wide[0].sub(wide[1]).abs().amax().item() / (wide[1].abs().amax().item() + 1e-30);
  });
}
