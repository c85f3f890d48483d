/** Between the beginning of a step and its report the host reads nothing: a GPU is given work without a pause. */
import * as torch from "@camelid/torch";
import { afterAll, expect, test } from "vitest";
import { addLora } from "../adapters/lora.js";
import type { TokenRow } from "../data/collate.js";
import type { JudgedRow } from "../data/judged-rows.js";
import type { PairRow } from "../data/pair-rows.js";
import { IGNORE_INDEX } from "../data/render.js";
import { parseConfig } from "../model/config.js";
import type { LanguageModel } from "../model/language-model.js";
import { initModel } from "../model/load.js";
import { accumulateSft } from "./accumulate.js";
import { accumulateDpo } from "./accumulate-dpo.js";
import { accumulateKto } from "./accumulate-kto.js";
import { JudgedMeter } from "./judged-meter.js";
import { LossMeter } from "./loss-meter.js";
import { adamw } from "./optim/adamw.js";
import { PairMeter } from "./pair-meter.js";
import { noReference } from "./reference-logps.js";

torch.setNumThreads(1);

const config = parseConfig({
  ...{ model_type: "llama", vocab_size: 64, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2 },
});
const row = (length: number, prompt: number, first = 4): TokenRow => {
  const ids = Int32Array.from({ length }, (_, i) => first + ((i * 7) % 50));
  return {
    id: "row",
    dataset: "a",
    inputIds: ids,
    labels: ids.map((id, i) => (i < prompt ? IGNORE_INDEX : id)),
  };
};
const pair = (place: number): PairRow => {
  const chosen = row(20, 8);
  const other = row(16, 8, 9);
  const ids = Int32Array.from([...chosen.inputIds.subarray(0, 8), ...other.inputIds.subarray(8)]);
  const rejected = { ...other, inputIds: ids };
  return { id: `pair ${place}`, dataset: "a", place, chosen, rejected, promptTokens: 8 };
};
const rows = [row(12, 3), row(30, 5)];
const pairs = [pair(0), pair(1)];
const judged: JudgedRow[] = pairs.map((one, i) => ({ ...one, desirable: i === 0 }));
const dpo = { beta: 0.1, lossType: "dpo", labelSmoothing: 0 } as const;

const meters = {
  loss: new LossMeter(["a"], "cpu"),
  pairs: new PairMeter("cpu"),
  judged: new JudgedMeter("cpu"),
};
afterAll(() => {
  for (const meter of Object.values(meters)) meter[Symbol.dispose]();
});

const passes: Record<string, (model: LanguageModel) => void> = {
  sft: (model) => accumulateSft(model, rows, 0.1, meters.loss),
  dpo: (model) =>
    accumulateDpo(model, pairs, noReference("cpu"), 0.5, { ...dpo, sharePrompts: false }, meters.pairs),
  "dpo with shared prompts": (model) =>
    accumulateDpo(model, pairs, noReference("cpu"), 0.5, { ...dpo, sharePrompts: true }, meters.pairs),
  kto: (model) =>
    accumulateKto(
      model,
      judged,
      { kl: 0.2, expected: new Map(judged.map((one) => [one, -3])) },
      0.5,
      { beta: 0.1, desirableWeight: 1, undesirableWeight: 1 },
      meters.judged,
    ),
};

const kinds = [
  "every weight",
  "adapters",
  "recomputed and offloaded",
  "updates in the backward pass",
] as const;

test.each(Object.keys(passes).flatMap((pass) => kinds.map((kind) => [pass, kind] as const)))(
  "%s, %s: passes and update read nothing",
  (pass, kind) => {
    using model = initModel(config, { trainable: kind !== "adapters" });
    const lora = { rank: 2, alpha: 4, dropout: 0.1, targetModules: ["q_proj", "down_proj"] };
    const parameters = kind === "adapters" ? addLora(model, lora).namedParameters() : model.namedParameters();
    model.activationCheckpointing = model.activationOffload = kind === "recomputed and offloaded";
    const optimizerInBackward = kind === "updates in the backward pass";
    using optimizer = adamw(parameters, {
      betas: [0.9, 0.99],
      eps: 1e-8,
      weightDecay: 0,
      optimizerInBackward,
    });
    const norm = torch.withoutWaiting(() => {
      optimizer.begin(1e-3, 1);
      passes[pass]!(model);
      return optimizer.update(1e-3, optimizerInBackward ? null : 1);
    });
    expect(norm.item()).toBeGreaterThan(0);
    norm.dispose();
  },
);
