// real-runs.mjs --model FOLDER --data DIR --out DIR [--steps 60] [--learning-rate 5e-6] [--threads 4] [--only hh_rlhf]: `camelid dpo` on three real
// preference sets, and what each run did, as a table: margins, accuracies, lengths of answers, other languages.
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { preferenceEffects, readRun } from "../../packages/camelid/dist/index.js";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    data: { type: "string" },
    out: { type: "string" },
    steps: { type: "string", default: "60" },
    "learning-rate": { type: "string", default: "5e-6" },
    threads: { type: "string", default: "4" },
    only: { type: "string" },
  },
});
for (const name of ["model", "data", "out"])
  if (values[name] === undefined) throw new Error(`--${name} is needed`);

const SETS = {
  ultrafeedback: ["ultrafeedback/train_clean.jsonl.gz", ["--eval-data", "ultrafeedback/eval_clean.jsonl.gz"]],
  hh_rlhf: ["hh_rlhf/harmless-base/test.jsonl.gz", ["--held-out-rows", "128"]],
  dpo_demo: ["dpo_demo/dpo_en_demo.json.gz", ["--held-out-rows", "24"]],
};
const camelid = fileURLToPath(new URL("../../packages/camelid/dist/cli/main.js", import.meta.url));
const file = (name) => join(resolve(values.data), name);

for (const [name, [data, held]] of Object.entries(SETS)) {
  if (values.only !== undefined && values.only !== name) continue;
  const flags = held.map((word) => (word.includes("/") ? file(word) : word));
  const settings = [
    ...[
      "--max-seq-len",
      "1024",
      "--micro-batch-size",
      "4",
      "--grad-accum-steps",
      "4",
      "--learning-rate",
      values["learning-rate"],
    ],
    ...["--warmup-ratio", "0.1", "--precision", "bf16-mixed", "--max-new-tokens", "64", "--on-bad", "skip"],
    ...["--max-steps", values.steps, "--threads", values.threads],
  ];
  const places = ["--model", values.model, "--data", file(data), "--out", join(values.out, name)];
  execFileSync("node", [camelid, "dpo", ...places, ...flags, ...settings], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

console.log(
  "| pairs | steps | loss, first -> last 10 | margin, last 10 | accuracy, last 10 | held out: right, margin | answers, tokens | others than English, nats/token |",
);
console.log("|---|---|---|---|---|---|---|---|");
for (const name of Object.keys(SETS)) {
  if (values.only !== undefined && values.only !== name) continue;
  const run = await readRun(join(values.out, name));
  const effects = preferenceEffects(run);
  const last = run.steps.slice(-10);
  const mean = (pick) => last.reduce((sum, step) => sum + pick(step), 0) / last.length;
  const metric = (key) => mean(({ metrics }) => metrics[key]);
  const [all] = effects.pairs;
  const others = effects.pairs.find(({ language }) => language === "others");
  const arrow = ({ before, after }, digits) => `${before.toFixed(digits)} -> ${after.toFixed(digits)}`;
  const cells = [
    name,
    run.steps.length,
    `${run.steps[0].loss.toFixed(3)} -> ${mean(({ loss }) => loss).toFixed(3)}`,
    metric("rewards/margins").toFixed(3),
    `${Math.round(100 * metric("rewards/accuracies"))} %`,
    `${Math.round(100 * all.accuracy)} % of ${all.pairs}, ${all.margin.toFixed(3)}`,
    effects.answers === undefined
      ? ""
      : `${arrow(effects.answers.tokens, 1)} (${Math.round(100 * effects.answers.ended.after)} % ended)`,
    others === undefined ? "none seen" : `${arrow(others.nll, 3)} (${others.pairs} pairs)`,
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
