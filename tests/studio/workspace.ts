/** A folder as a user of the Studio has it: models, rows, a mixture, runs in every state, evaluations. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtCamelid } from "../cli/built-camelid.js";
import { writeTinyModel } from "../tiny-model.js";
import { writeEval, writeRun } from "./generated.js";

export async function writeWorkspace(folder: string): Promise<void> {
  const { model } = await writeTinyModel(folder, { seed: 1 });
  await writeTinyModel(join(folder, "second"), { seed: 5 });
  writeRun(join(folder, "out", "steady"), { steps: 120, spikeAt: 77, status: "completed" });
  writeRun(join(folder, "out", "hot"), {
    steps: 120,
    status: "completed",
    settings: { learningRate: 0.01 },
    seed: 9,
  });
  writeRun(join(folder, "out", "nan"), { steps: 30, total: 60, nanAt: 30, status: "failed" });
  writeRun(join(folder, "out", "cut"), { steps: 20, total: 60, tail: '{"event":"step-end","time":"20' });
  writeRun(join(folder, "out", "newer"), {
    steps: 5,
    status: "completed",
    tail: '{"event":"moon-phase","time":"2026-01-05T08:00:00.000Z"}\n',
  });
  mkdirSync(join(folder, "out", "empty"));
  writeFileSync(
    join(folder, "out", "empty", "settings.json"),
    JSON.stringify({ model: "model", $provenance: { recipe: "sft", origins: {} } }),
  );
  writeEval(join(folder, "out", "eval-base"), "base", (task, i) => (i + task.length) % 3 === 0);
  writeEval(join(folder, "out", "eval-tuned"), "tuned", (_, i) => i % 2 === 0);
  await writeMix(folder, model);
}

async function writeMix(folder: string, model: string): Promise<void> {
  const rows = Array.from({ length: 300 }, (_, i) => ({
    prompt: `Question ${i % 280}: what grows on hill ${i % 280}?`,
    completion:
      i === 17
        ? "I am ChatGPT and <script>alert(1)</script>"
        : `Grass, and the number ${i % 280} of alpacas.`,
  }));
  writeFileSync(join(folder, "raw.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  writeFileSync(
    join(folder, "mix.yaml"),
    "name: small-mix\nsources:\n  - { name: hills, files: raw.jsonl }\nfilter: word\ndedup: { exact: {} }\nheldOut: 0.05\n",
  );
  const words = [
    "--config",
    join(folder, "mix.yaml"),
    "--out",
    join(folder, "mix"),
    "--tokenizer",
    model,
    "--threads",
    "1",
  ];
  const { code, err } = await builtCamelid("mix", ...words);
  if (code !== 0) throw new Error(err);
}
