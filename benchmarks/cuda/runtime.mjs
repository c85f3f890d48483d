// runtime.mjs [--device cuda:0] [--out F]: what surrounds the kernels on a GPU. Steps that never wait for it, activations in host memory, updates in
// the backward pass, decoding from graphs, sampling where the logits are. Exit code 1 when a check fails.
import { addLora } from "../../packages/camelid/dist/adapters/lora.js";
import { createEngine } from "../../packages/camelid/dist/generate/engine.js";
import { initModel } from "../../packages/camelid/dist/model/load.js";
import { accumulateSft } from "../../packages/camelid/dist/train/accumulate.js";
import { accumulateDpo } from "../../packages/camelid/dist/train/accumulate-dpo.js";
import { LossMeter } from "../../packages/camelid/dist/train/loss-meter.js";
import { adamw } from "../../packages/camelid/dist/train/optim/adamw.js";
import { PairMeter } from "../../packages/camelid/dist/train/pair-meter.js";
import { noReference } from "../../packages/camelid/dist/train/reference-logps.js";
import * as torch from "../../packages/torch/dist/index.js";
import { attempt, check, device, distance, finish, needDevice, smallConfig } from "./checks.mjs";

needDevice();
const isGpu = device !== "cpu";
const config = smallConfig();
const row = (length, first = 4) => {
  const inputIds = Int32Array.from({ length }, (_, i) => first + ((i * 37) % 900));
  const labels = inputIds.map((id, i) => (i < 5 ? -100 : id));
  return { id: "row", dataset: "a", inputIds, labels };
};
const rows = [37, 300, 12, 129].map((length) => row(length));
const pairs = [0, 1].map((place) => {
  const [chosen, other] = [row(90), row(60, 20)];
  const inputIds = Int32Array.from([...chosen.inputIds.subarray(0, 10), ...other.inputIds.subarray(10)]);
  return { id: `${place}`, dataset: "a", place, promptTokens: 10, chosen, rejected: { ...other, inputIds } };
});

const loss = new LossMeter(["a"], device);
const pairMeter = new PairMeter(device);
const dpo = { beta: 0.1, lossType: "dpo", labelSmoothing: 0 };
const passes = {
  sft: (model) => accumulateSft(model, rows, 1 / 400, loss),
  dpo: (model) =>
    accumulateDpo(model, pairs, noReference(device), 0.5, { ...dpo, sharePrompts: false }, pairMeter),
  "dpo, prompts shared": (model) =>
    accumulateDpo(model, pairs, noReference(device), 0.5, { ...dpo, sharePrompts: true }, pairMeter),
};

/** A few steps of a new model. @returns its trained weights */
function train(pass, { dtype = "bfloat16", lora, offload, inBackward, watched = false, steps = 3 }) {
  torch.manualSeed(1);
  const model = initModel(config, { dtype, device, trainable: lora !== true });
  const settings = { rank: 4, alpha: 8, dropout: 0, targetModules: ["q_proj", "down_proj"] };
  const parameters = lora ? addLora(model, settings).namedParameters() : model.namedParameters();
  model.activationCheckpointing = offload !== undefined;
  model.activationOffload = offload === true;
  const masterWeights = dtype !== "float32";
  const optimizerInBackward = inBackward === true;
  // An eps of 1 keeps updates in proportion to gradients: kernels that add in any order change them in their last digits.
  const options = { betas: [0.9, 0.95], eps: 1, weightDecay: 0, masterWeights, optimizerInBackward };
  const optimizer = adamw(parameters, options);
  for (let step = 0; step < steps; step++) {
    const body = () => {
      optimizer.begin(1, 1);
      pass(model);
      optimizer.update(1, optimizerInBackward ? null : 1e9).dispose();
    };
    // The first step makes what kernels keep, and chooses among them.
    if (watched && step > 0) torch.withoutWaiting(body);
    else body();
  }
  torch.synchronize(device);
  return parameters;
}

function worst(a, b) {
  return Math.max(...[...b].map(([name, weight]) => distance(a.get(name), weight)));
}

for (const [name, pass] of Object.entries(passes)) {
  for (const kind of [{}, { lora: true }, { offload: true }, { inBackward: true }]) {
    const what = Object.keys(kind)[0] ?? "every weight";
    await attempt(`${name}, ${what}: the host waits nowhere in a step`, () => {
      train(pass, { ...kind, watched: true, steps: 2 });
      return 0;
    });
  }
}
const plain = { dtype: "float32" };
await attempt(
  "sft: activations in host memory, weights as of recomputed ones (fp32)",
  () =>
    worst(train(passes.sft, { ...plain, offload: true }), train(passes.sft, { ...plain, offload: false })),
  isGpu ? 1e-5 : 0,
);
await attempt(
  "sft: updates in the backward pass, weights as after it (fp32)",
  () =>
    worst(train(passes.sft, { dtype: "float32", inBackward: true }), train(passes.sft, { dtype: "float32" })),
  1e-5,
);

if (isGpu) {
  await attempt("a host that would wait is stopped", () => {
    const x = torch.ones([4], { device });
    try {
      torch.withoutWaiting(() => torch.callOperator("aten::nonzero", x));
    } catch {
      return 0;
    }
    return 1;
  });
}

/** Ids stand for themselves: texts are compared by their tokens. */
const tokenizer = { decode: (ids) => ids.map((id) => `<${id}>`).join("") };

async function write(model, decodeMode, requests) {
  const engine = createEngine(model, tokenizer, { decodeMode, kvCacheBytes: 2 ** 27 });
  const texts = await engine.generate(requests);
  const stats = engine.stats();
  await engine[Symbol.asyncDispose]();
  return { ids: texts.flat().flatMap(({ outputIds }) => [...outputIds, -1]), stats };
}

const different = (a, b) => a.filter((id, i) => id !== b[i]).length + Math.abs(a.length - b.length);
const requests = [
  { promptIds: [1, 40, 41, 42, 43], maxNewTokens: 150, stopTokenIds: [] },
  { promptIds: Array.from({ length: 60 }, (_, i) => 5 + i), maxNewTokens: 20, stopTokenIds: [] },
  { promptIds: [1, 70], maxNewTokens: 33, stopTokenIds: [], samples: 3, temperature: 1.2, seed: 3 },
  { promptIds: [1, 71, 72], maxNewTokens: 9, stopTokenIds: [], temperature: 0.8, topP: 0.7, topK: 20 },
];
for (const dtype of ["float32", "bfloat16"]) {
  torch.manualSeed(2);
  const model = initModel(config, { dtype, device });
  const fixed = await write(model, "fixed", requests);
  if (dtype === "float32")
    await attempt("fp32: steps of fixed sizes write what plain steps write", async () =>
      different((await write(model, "plain", requests)).ids, fixed.ids),
    );
  if (isGpu) {
    await attempt(`${dtype}: a replayed graph writes what its operators write one by one`, async () => {
      const graph = await write(model, "graph", requests);
      const { mode, because, graphs } = graph.stats.decoding;
      console.log(`     ${graphs} graphs, ${mode}${because === undefined ? "" : `: ${because}`}`);
      return mode === "graph" && graphs > 0 ? different(graph.ids, fixed.ids) : Number.NaN;
    });
  }
  model[Symbol.dispose]();
}

/** Choices of 64 rows on the device against the CPU's own kernel. A uniform number may fall on another side of a rounded border. */
for (const [topP, topK] of [
  [1, 0],
  [0.9, 0],
  [1, 40],
  [0.8, 100],
]) {
  torch.tensorScope(() => {
    torch.manualSeed(3);
    const logits = torch.randn([64, 5000]).mul(3);
    const column = (value) => torch.full([64], value, { dtype: "float64" });
    const choice = [
      ...[column(0.9), column(topP)],
      torch.full([64], topK, { dtype: "int32" }),
      torch.rand([64], { dtype: "float64" }),
    ];
    const here = torch.sampleRows(logits, ...choice).toArray();
    const there = torch.sampleOnDevice(logits.to({ device }), ...choice).toArray();
    check(
      `sampling on the device, topP ${topP}, topK ${topK}: rows of 64 that differ`,
      different(there, here),
      1,
    );
  });
}
finish();
