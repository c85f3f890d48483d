/** Model folders that are damaged, hostile or not supported: one clear error, and nothing written. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { call, op, pickle } from "../faults/pickle-assembler.js";
import { referenceFile } from "../parity/weights/reference.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-bad-model-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
let model: string;
let out: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 8 });
});
beforeEach(() => {
  const folder = mkdtempSync(join(root, "test-"));
  model = join(folder, "model");
  out = join(folder, "run");
  cpSync(tiny.model, model, { recursive: true });
});

const file = (name: string) => join(model, name);
const weights = () => file("model.safetensors");

interface ModelJson {
  /** Of tokenizer.json. */
  added_tokens: object[];
  model: { type: string };
}

/** Rewrites a JSON file of the model folder. */
function edit(name: string, change: (json: ModelJson) => unknown): void {
  const json = JSON.parse(readFileSync(file(name), "utf8"));
  writeFileSync(file(name), JSON.stringify(change(json) ?? json));
}

/** Rewrites the header of the weights; `pad` keeps its length, so that the data stays where it was. */
function editHeader(
  change: (header: Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>) => void,
): void {
  const bytes = readFileSync(weights());
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  change(header);
  const text = JSON.stringify(header);
  expect(text.length, "fits into the old header").toBeLessThanOrEqual(length);
  bytes.write(text.padEnd(length), 8);
  writeFileSync(weights(), bytes);
}

/** Rewrites the tensors themselves. */
function editTensors(change: (tensors: Map<string, torch.Tensor>) => void): void {
  using _ = torch.tensorScope();
  const { tensors } = torch.readSafetensors(weights(), { copy: true });
  change(tensors);
  torch.writeSafetensors(weights(), tensors, { format: "pt" });
}

const NORM = "model.norm.weight";

type Case = [what: string, spoil: () => void, code: string, says: RegExp, where?: RegExp];

const weightFiles: Case[] = [
  [
    "a file cut off",
    () => truncateSync(weights(), 100_000),
    "ERR_SAFETENSORS_TRUNCATED",
    /ends \d+ bytes before/,
    /model\.safetensors/,
  ],
  [
    "a file cut inside its header",
    () => truncateSync(weights(), 60),
    "ERR_SAFETENSORS_TRUNCATED",
    /header claims/,
  ],
  ["an empty file", () => truncateSync(weights(), 0), "ERR_SAFETENSORS_TRUNCATED", /0 bytes/],
  [
    "a header length that lies",
    () => patch(weights(), 0, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    "ERR_SAFETENSORS_HEADER_LENGTH",
    /at most 100000000 are allowed/,
  ],
  [
    "a header length past the end",
    () => patch(weights(), 0, [0, 0, 0, 1, 0, 0, 0, 0]),
    "ERR_SAFETENSORS_TRUNCATED",
    /header claims 16777216 bytes/,
  ],
  ["a header that is not JSON", () => patch(weights(), 8, [0x21]), "ERR_SAFETENSORS_HEADER", /expected/],
  [
    "tensors that overlap",
    () =>
      editHeader((header) => {
        header[NORM]!.data_offsets = header[NORM]!.data_offsets.map((offset) => offset - 4);
      }),
    "ERR_SAFETENSORS_OFFSETS",
    /overlap/,
    /tensor "model\./,
  ],
  [
    "offsets that do not fit the shape",
    () =>
      editHeader((header) => {
        header[NORM]!.shape = [31];
      }),
    "ERR_SAFETENSORS_OFFSETS",
    /needs 124 bytes/,
    /model\.norm\.weight/,
  ],
  [
    "a web page instead of weights",
    () => writeFileSync(weights(), "<!DOCTYPE html><html><body>Not found</body></html>"),
    "ERR_SAFETENSORS_HEADER_LENGTH",
    /header claims/,
  ],
  [
    "a pointer of git-lfs",
    () => writeFileSync(weights(), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "ERR_WEIGHTS_LFS_POINTER",
    /Git LFS pointer/,
  ],
  ["no weights", () => rmSync(weights()), "ERR_WEIGHTS_NONE", /holds no weights/],
  [
    "a missing tensor",
    () => editTensors((tensors) => tensors.delete(NORM)),
    "ERR_WEIGHTS_NAMES",
    /1 missing \(model\.norm\.weight\)/,
  ],
  [
    "a tensor too many",
    () => editTensors((tensors) => tensors.set("model.layers.2.extra", tensors.get(NORM)!)),
    "ERR_WEIGHTS_NAMES",
    /1 not known/,
  ],
  [
    "a tensor of another shape",
    () => editTensors((tensors) => tensors.set(NORM, torch.zeros([33]))),
    "ERR_WEIGHTS_SHAPE",
    /\[33\] where config\.json says \[32\]/,
    /model\.norm\.weight/,
  ],
  [
    "integers for weights",
    () => editTensors((tensors) => tensors.set(NORM, torch.zeros([32], { dtype: "int64" }))),
    "ERR_WEIGHTS_DTYPE",
    /int64/,
    /model\.norm\.weight/,
  ],
  [
    "a missing shard",
    () => shard("model-00002-of-00002.safetensors"),
    "ERR_WEIGHTS_MISSING_SHARD",
    /model-00002-of-00002\.safetensors/,
    /index\.json/,
  ],
  [
    "an index that reaches out of the folder",
    () => shard("../model.safetensors"),
    "ERR_WEIGHTS_INDEX",
    /not the name of a \.safetensors file/,
  ],
  [
    "an index that is not JSON",
    () => {
      shard("x.safetensors");
      writeFileSync(file("model.safetensors.index.json"), "{");
    },
    "ERR_WEIGHTS_INDEX",
    /not valid JSON/,
  ],
  [
    "a pickle that calls os.system",
    () => bin(readFileSync(referenceFile("hostile-os-system.bin"))),
    "ERR_PICKLE_FORBIDDEN",
    /system/,
  ],
  [
    "a pickle that calls eval",
    () => bin(readFileSync(referenceFile("hostile-eval.bin"))),
    "ERR_PICKLE_FORBIDDEN",
    /eval/,
  ],
  [
    "a legacy pickle that starts a process",
    () => bin(pickle(call("subprocess", "Popen", op.string("touch /tmp/owned")))),
    "ERR_PICKLE_FORBIDDEN",
    /subprocess\.Popen/,
  ],
  ["a .bin cut off", () => bin(readFileSync(referenceFile("zip.bin")).subarray(0, 700)), "ERR_ZIP", /./],
];

function patch(path: string, at: number, bytes: number[]): void {
  const content = readFileSync(path);
  Buffer.from(bytes).copy(content, at);
  writeFileSync(path, content);
}

/** Half of the weights in a file of their own, the others in one that the caller names (and that is not there). */
function shard(other: string): void {
  const names = [...torch.readSafetensors(weights()).tensors].map(([name, tensor]) => {
    tensor.dispose();
    return name;
  });
  cpSync(weights(), file("model-00001-of-00002.safetensors"));
  rmSync(weights());
  const weight_map = Object.fromEntries(
    names.map((name, i) => [name, i % 2 === 0 ? "model-00001-of-00002.safetensors" : other]),
  );
  writeFileSync(file("model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
}

function bin(bytes: Uint8Array): void {
  rmSync(weights());
  writeFileSync(file("pytorch_model.bin"), bytes);
}

const config = (change: object) => () => edit("config.json", (json) => ({ ...json, ...change }));

const configs: Case[] = [
  [
    "rope scaling of another kind",
    config({ rope_scaling: { type: "yarn", factor: 2 } }),
    "ERR_CONFIG_UNSUPPORTED",
    /yarn/,
    /config\.json/,
  ],
  [
    "rope parameters of another kind",
    config({ rope_parameters: { rope_type: "yarn", factor: 2, rope_theta: 1e4 } }),
    "ERR_CONFIG_UNSUPPORTED",
    /yarn/,
  ],
  [
    "Llama 3 scaling without its numbers",
    config({ rope_scaling: { rope_type: "llama3", factor: 8 } }),
    "ERR_CONFIG_UNSUPPORTED",
    /low_freq_factor/,
  ],
  [
    "two dialects that disagree",
    config({
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 64,
      },
      rope_parameters: { rope_type: "default", rope_theta: 1e4 },
    }),
    "ERR_CONFIG_UNSUPPORTED",
    /say different things/,
  ],
  [
    "unknown numbers of rope scaling",
    config({
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 64,
        attention_factor: 2,
      },
    }),
    "ERR_CONFIG_UNSUPPORTED",
    /attention_factor/,
  ],
  ["biases that the weights lack", config({ attention_bias: true }), "ERR_WEIGHTS_NAMES", /q_proj\.bias/],
  ["biases in the MLP", config({ mlp_bias: true }), "ERR_CONFIG_UNSUPPORTED", /mlp_bias/],
  ["another activation", config({ hidden_act: "gelu" }), "ERR_CONFIG_UNSUPPORTED", /hidden_act/],
  [
    "quantised weights",
    config({ quantization_config: { quant_method: "gptq", bits: 4 } }),
    "ERR_CONFIG_UNSUPPORTED",
    /quantization_config/,
  ],
  ["a sliding window", config({ sliding_window: 4096 }), "ERR_CONFIG_UNSUPPORTED", /sliding_window/],
  ["a field that nobody knows", config({ logit_softcap: 30 }), "ERR_CONFIG_UNSUPPORTED", /logit_softcap/],
  [
    "another architecture",
    config({ model_type: "gemma3_text", architectures: ["Gemma3ForCausalLM"] }),
    "ERR_CONFIG_UNSUPPORTED",
    /model_type "gemma3_text" is not known[\s\S]*llama, mistral, qwen2, qwen3, olmo2/,
  ],
  [
    "layers of kinds that do not fit",
    config({ layer_types: ["full_attention"] }),
    "ERR_CONFIG_UNSUPPORTED",
    /layer_types/,
  ],
  ["an empty object", () => writeFileSync(file("config.json"), "{}"), "ERR_CONFIG_UNSUPPORTED", /model_type/],
  ["heads that do not divide", config({ num_key_value_heads: 3 }), "ERR_CONFIG_UNSUPPORTED", /heads/],
  ["a size that is a text", config({ hidden_size: "32" }), "ERR_CONFIG_UNSUPPORTED", /hidden_size/],
  [
    "a size beyond all memory",
    config({ vocab_size: 2 ** 50 }),
    "ERR_WEIGHTS_SHAPE",
    /\[1125899906842624,32\]/,
  ],
  [
    "layers beyond all memory",
    config({ num_hidden_layers: 2 ** 31 }),
    "ERR_CONFIG_UNSUPPORTED",
    /num_hidden_layers/,
  ],
  [
    "no field at all",
    () => writeFileSync(file("config.json"), '{"model_type":"llama"}'),
    "ERR_CONFIG_UNSUPPORTED",
    /hidden_size/,
  ],
  ["a list", () => writeFileSync(file("config.json"), "[]"), "ERR_CONFIG_UNSUPPORTED", /config/],
  [
    "text that is not JSON",
    () => writeFileSync(file("config.json"), "{hello"),
    "ERR_CONFIG_JSON",
    /not JSON/,
  ],
  ["no config", () => rmSync(file("config.json")), "ERR_CONFIG_MISSING", /no config\.json/],
  [
    "a folder for a config",
    () => {
      rmSync(file("config.json"));
      cpSync(tiny.model, file("config.json"), { recursive: true });
    },
    "ERR_CONFIG_UNREADABLE",
    /cannot be read/,
  ],
];

const tokenizers: Case[] = [
  [
    "no tokenizer",
    () => rmSync(file("tokenizer.json")),
    "ERR_TOKENIZER_MISSING",
    /no tokenizer\.json; it holds config\.json/,
  ],
  [
    "only a SentencePiece file",
    () => {
      rmSync(file("tokenizer.json"));
      writeFileSync(file("tokenizer.model"), "x");
    },
    "ERR_TOKENIZER_MISSING",
    /tokenizer\.model/,
  ],
  [
    "text that is not JSON",
    () => writeFileSync(file("tokenizer.json"), "{"),
    "ERR_TOKENIZER_INVALID",
    /not JSON/,
    /tokenizer\.json/,
  ],
  [
    "JSON of another kind",
    () => writeFileSync(file("tokenizer.json"), "{}"),
    "ERR_TOKENIZER_INVALID",
    /model/,
  ],
  [
    "a model that the library does not know",
    () =>
      edit("tokenizer.json", (json) => {
        json.model.type = "Magic";
      }),
    "ERR_TOKENIZER_INVALID",
    /cannot be built/,
  ],
  [
    "a configuration that is not JSON",
    () => writeFileSync(file("tokenizer_config.json"), "{"),
    "ERR_TOKENIZER_INVALID",
    /not JSON/,
    /tokenizer_config\.json/,
  ],
  [
    "more ids than the embedding has rows",
    () =>
      edit("tokenizer.json", (json) => {
        json.added_tokens.push({ ...json.added_tokens[0], id: 5000, content: "<extra>" });
      }),
    "ERR_VOCABULARY",
    /5001 ids, the embedding has only \d+ rows/,
  ],
  [
    "merges on which the library would abort the process",
    () =>
      edit("tokenizer.json", (json) => {
        Object.assign(json.model, { continuing_subword_prefix: "####" });
      }),
    "ERR_TOKENIZER_INVALID",
    /lacks the prefix "####"/,
    /tokenizer\.json/,
  ],
  [
    "no end token",
    () => edit("tokenizer_config.json", (json) => ({ ...json, eos_token: null })),
    "ERR_NO_EOS",
    /end|EOS/i,
  ],
  [
    "an end token that is not in the vocabulary",
    () => edit("tokenizer_config.json", (json) => ({ ...json, eos_token: "<|done|>" })),
    "ERR_NO_EOS",
    /end|EOS/i,
  ],
  [
    "a chat template that is not valid Jinja",
    () => writeFileSync(file("chat_template.jinja"), "{% for m in messages %}"),
    "ERR_CHAT_TEMPLATE",
    /not valid Jinja/,
  ],
  [
    "a chat template that refuses the rows",
    () => writeFileSync(file("chat_template.jinja"), "{{ raise_exception('no llamas') }}"),
    "ERR_CHAT_TEMPLATE",
    /no llamas/,
    /rows\.jsonl line 1/,
  ],
  [
    "a chat template that rewrites earlier turns",
    () =>
      writeFileSync(
        file("chat_template.jinja"),
        "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}",
      ),
    "ERR_TEMPLATE_NOT_PREFIX",
    /./,
  ],
];

describe.each([
  ["weights", weightFiles],
  ["config", configs],
  ["tokenizer", tokenizers],
])("%s", (_, cases) => {
  test.each(cases)("%s", async (_, spoil, code, says, where) => {
    spoil();
    const run = await camelid("sft", "--model", model, "--data", tiny.data, "--out", out, "--threads", "1");
    expectOneClearError(run, {
      code: `${code}\\w*`,
      says,
      where: where ?? /./,
    });
    expect(existsSync(out), "nothing is written").toBe(false);
  });
});

test("weights that are not numbers end the run at its first step, and it leaves nothing", async () => {
  editTensors((tensors) => tensors.get(NORM)!.fill_(Number.NaN));
  const words = ["--threads", "1", "--preflight", "false"]; // which would have found them
  const deep = join(out, "in", "folders");
  const run = await camelid("sft", "--model", model, "--data", tiny.data, "--out", deep, ...words);
  const error = run.err.slice(run.err.indexOf("TrainingError"));
  expectOneClearError(
    { ...run, err: error },
    { code: "ERR_NAN", says: /the loss is NaN in step 1/, where: /row-/, exit: 1 },
  );
  expect(existsSync(out)).toBe(false);
});
