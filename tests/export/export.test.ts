/** `camelid export`: what it writes loads and computes the same, and what does not is not written. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAdapterConfig, saveAdapter } from "../../packages/camelid/src/adapters/adapter-file.js";
import { loadAdaptedModel } from "../../packages/camelid/src/adapters/load-adapted.js";
import { addLora } from "../../packages/camelid/src/adapters/lora.js";
import { renderPrompt } from "../../packages/camelid/src/data/render.js";
import { exportModel } from "../../packages/camelid/src/export/export-model.js";
import { checkFixtures, FIXTURES_FILE, parseFixtures } from "../../packages/camelid/src/export/fixtures.js";
import { readGguf } from "../../packages/camelid/src/export/gguf/reader.js";
import { modelfile } from "../../packages/camelid/src/export/ollama.js";
import { readConfig } from "../../packages/camelid/src/model/config.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { folderWeightsHash } from "../../packages/camelid/src/model/weights-hash.js";
import { loadTokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { tuluTemplate } from "../../packages/camelid/src/tokenizer/tulu-template.js";
import { camelid, expectOneClearError } from "../cli/camelid.js";
import { copyOf, familyModel } from "./family-models.js";

const root = mkdtempSync(join(tmpdir(), "camelid-export-"));
const at = (name: string) => join(root, name);
let base: string;
let adapter: string;
beforeAll(async () => {
  torch.setNumThreads(1);
  base = await familyModel("qwen2", at("base"));
  adapter = makeAdapter(base, at("adapter"));
});
afterAll(() => rmSync(root, { recursive: true }));

/** An adapter that says something, in PEFT's layout. */
function makeAdapter(of: string, folder: string): string {
  using model = loadModel(of);
  const added = addLora(model, {
    rank: 4,
    alpha: 8,
    dropout: 0,
    targetModules: ["q_proj", "v_proj", "down_proj"],
  });
  torch.manualSeed(3);
  torch.noGrad(() => {
    for (const { b } of added.pairs.values()) b.normal_(0, 0.2);
  });
  saveAdapter(added, folder, { model: of, sha256: folderWeightsHash(of) });
  return folder;
}

const QUANTIZE = { doubleQuant: true, throughFp16: false };

const entries = (folder: string) => readdirSync(folder).sort();

describe("merged", () => {
  test("a model without adapters has the same weights to the bit, tokenizer, template and fixtures", async () => {
    const out = at("merged-plain");
    const { check } = await exportModel({ model: base, to: "merged", out });
    expect(check).toEqual({ fixtures: 6, worst: 0, sameFirst: 6 });
    expect(folderWeightsHash(out)).toBe(folderWeightsHash(base));
    expect(entries(out)).toEqual([
      ...["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", FIXTURES_FILE],
      ...["tokenizer.json", "tokenizer_config.json"],
    ]);
  });

  test("an adapter is merged into a model that answers as the two together", async () => {
    const out = at("merged-adapter");
    writeFileSync(join(base, "LICENSE.txt"), "as you like");
    const { check } = await exportModel({ model: adapter, to: "merged", out });
    expect(check).toMatchObject({ fixtures: 6, sameFirst: 6 });
    expect(check.worst).toBeGreaterThan(0);
    expect(check.worst).toBeLessThan(1e-5);
    expect(folderWeightsHash(out)).not.toBe(folderWeightsHash(base));
    expect(readFileSync(join(out, "LICENSE.txt"), "utf8"), "the base's licence goes along").toBe(
      "as you like",
    );
    // Merging wrote into memory that is mapped from the base's file: the file is as it was.
    expect(readAdapterConfig(adapter).baseSha256).toBe(folderWeightsHash(base));
  });

  test("fixtures are conversations, the renderer's ids, and the logits of the source", async () => {
    const out = at("merged-fixtures");
    await exportModel({ model: adapter, to: "merged", out });
    const { fixtures } = parseFixtures(readFileSync(join(out, FIXTURES_FILE), "utf8"), out);
    const tokenizer = await loadTokenizer(base);
    using model = loadAdaptedModel(adapter);
    for (const { messages, input_ids, top } of fixtures) {
      expect(Array.from(await renderPrompt(messages, tokenizer))).toEqual(input_ids);
      expect(top.map(({ logit }) => logit)).toEqual(top.map(({ logit }) => logit).toSorted((a, b) => b - a));
    }
    await checkFixtures({ ...({} as object), fixtures } as never, model, tokenizer, 0);
    const typed = fixtures.find(({ messages }) => messages[0]!.content.includes("<|im_end|>"))!;
    const end = tokenizer.tokenToId("<|im_end|>")!;
    expect(
      typed.input_ids.filter((id) => id === end),
      "typed special tokens stay text",
    ).toHaveLength(1);
  });
});

test("an adapter on a 4-bit base merges into what its base's bits stand for, and is copied with them", async () => {
  const folder = at("qlora");
  {
    using model = loadModel(base, { quantize: QUANTIZE });
    const targetModules = ["q_proj", "v_proj"];
    const added = addLora(model, { rank: 4, alpha: 8, dropout: 0, targetModules });
    torch.manualSeed(4);
    torch.noGrad(() => {
      for (const { b } of added.pairs.values()) b.normal_(0, 0.2);
    });
    saveAdapter(added, folder, { model: base, quantize: QUANTIZE });
  }
  const { check } = await exportModel({ model: folder, to: "merged", out: at("qlora-merged") });
  expect(check.worst).toBeLessThan(1e-5);
  expect(readConfig(at("qlora-merged")).config.dtype).toBe("float32");
  const copied = await exportModel({ model: folder, to: "adapter", out: at("qlora-copy") });
  expect(copied.check.worst).toBe(0);
  expect(readAdapterConfig(at("qlora-copy")).quantize).toEqual(QUANTIZE);
});

describe("adapter", () => {
  test("a copy that names its base as told, with the tokenizer beside it", async () => {
    const out = at("adapter-copy");
    const { check } = await exportModel({ model: adapter, to: "adapter", out, baseName: "org/base" });
    expect(check).toMatchObject({ worst: 0, sameFirst: 6 });
    expect(readAdapterConfig(out)).toMatchObject({ baseModel: "org/base", settings: { rank: 4, alpha: 8 } });
    expect(entries(out)).toEqual(
      expect.arrayContaining(["adapter_model.safetensors", "chat_template.jinja"]),
    );
    const weights = (folder: string) => readFileSync(join(folder, "adapter_model.safetensors"));
    expect(weights(out).equals(weights(adapter))).toBe(true);
  });

  test("a whole model has none", async () => {
    await expect(exportModel({ model: base, to: "adapter", out: at("none") })).rejects.toMatchObject({
      code: "ERR_EXPORT_NO_ADAPTER",
    });
    expect(existsSync(at("none"))).toBe(false);
  });
});

describe("GGUF", () => {
  test.each(["f32", "f16", "bf16", "q8_0"] as const)("an adapter's model as %s", async (type) => {
    const out = at(`gguf-${type}`);
    const { gguf, check } = await exportModel({ model: adapter, to: "gguf", type, out });
    expect(check.fixtures).toBe(6);
    expect(check.worst).toBeLessThan({ f32: 1e-5, f16: 5e-3, bf16: 0.05, q8_0: 0.05 }[type]);
    expect(entries(out)).toEqual(["Modelfile", gguf!.file, FIXTURES_FILE].sort());
    const file = readGguf(join(out, gguf!.file));
    expect(file.metadata.get("general.architecture")).toBe("qwen2");
    expect(file.metadata.get("tokenizer.chat_template")).toContain("<|im_start|>");
    expect(file.tensors.get("blk.0.attn_q.bias")).toMatchObject({ type: "f32", shape: [64] });
    expect(file.tensors.get("blk.1.attn_k.weight")).toMatchObject({ type, shape: [32, 64] });
  });

  test("context ends where llama.cpp, which has no window, would compute something else", async () => {
    const model = await familyModel("mistral", at("mistral"));
    const { gguf } = await exportModel({ model, to: "gguf", type: "f32", out: at("gguf-mistral") });
    expect(gguf!.contextLength).toBe(200);
  });

  test("matrices whose rows do not divide into blocks stay in f16", async () => {
    const model = await familyModel("mistral", at("mistral-odd"));
    const { gguf } = await exportModel({ model, to: "gguf", type: "q8_0", out: at("gguf-odd") });
    expect(gguf!.exceptions).toEqual([
      { name: "blk.0.ffn_down.weight", type: "f16" },
      { name: "blk.1.ffn_down.weight", type: "f16" },
    ]);
  });

  test.each([
    [
      "a tokenizer that llama.cpp has no cutter for",
      "ERR_GGUF_TOKENIZER",
      (json: Tokenizer) => {
        json.pre_tokenizer = { type: "Whitespace" };
      },
    ],
    [
      "a tokenizer that is no BPE",
      "ERR_GGUF_TOKENIZER",
      (json: Tokenizer) => {
        const vocab = Object.keys(json.model.vocab);
        json.model = {
          type: "WordLevel",
          vocab: Object.fromEntries(vocab.map((v, i) => [v, i])),
          unk_token: "<unk>",
        };
      },
    ],
  ] as const)("%s is refused, and nothing is left behind", async (_, code, change) => {
    const model = copyOf(base, at(`refused-${code}`));
    const path = join(model, "tokenizer.json");
    const json = JSON.parse(readFileSync(path, "utf8")) as Tokenizer;
    change(json);
    writeFileSync(path, JSON.stringify(json));
    const parent = mkdtempSync(join(root, "parent-"));
    await expect(
      exportModel({ model, to: "gguf", type: "f32", out: join(parent, "out") }),
    ).rejects.toMatchObject({ code });
    expect(readdirSync(parent)).toEqual([]);
  });
});

interface Tokenizer {
  pre_tokenizer: object;
  model: { type: string; vocab: Record<string, number>; unk_token?: string };
}

describe("spaces in front of the first stretch only", () => {
  test("there are none after a BOS, and llama.cpp is told so", async () => {
    const model = await familyModel("llama-metaspace", at("metaspace"));
    const { gguf } = await exportModel({ model, to: "gguf", type: "f32", out: at("gguf-metaspace") });
    const { metadata } = readGguf(join(at("gguf-metaspace"), gguf!.file));
    expect(metadata.get("tokenizer.ggml.add_space_prefix")).toBe(false);
  });

  test("a template that leaves BOS out would be cut otherwise, and is refused", async () => {
    const model = await familyModel("llama-metaspace", at("metaspace-no-bos"));
    writeFileSync(join(model, "chat_template.jinja"), tuluTemplate({ addsBos: false }));
    await expect(
      exportModel({ model, to: "gguf", type: "f32", out: at("gguf-metaspace-no-bos") }),
    ).rejects.toMatchObject({ code: "ERR_GGUF_TOKENIZER" });
  });
});

describe("a check that fails", () => {
  test("leaves nothing behind: values that fp16 cannot hold", async () => {
    const model = copyOf(base, at("too-large"));
    using weights = loadModel(model);
    torch.noGrad(() => weights.namedParameters().get("model.layers.0.mlp.up_proj.weight")!.mul_(1e6));
    const { saveModel } = await import("../../packages/camelid/src/model/save.js");
    saveModel(weights, model, { tokenizer: base });
    const parent = mkdtempSync(join(root, "parent-"));
    const out = join(parent, "out");
    await expect(exportModel({ model, to: "gguf", type: "f16", out })).rejects.toMatchObject({
      code: "ERR_GGUF_RANGE",
    });
    expect(readdirSync(parent)).toEqual([]);
  });

  test("tells which conversation and which logit", async () => {
    const out = at("for-check");
    await exportModel({ model: base, to: "merged", out });
    const fixtures = parseFixtures(readFileSync(join(out, FIXTURES_FILE), "utf8"), out);
    const tokenizer = await loadTokenizer(base);
    using other = loadAdaptedModel(adapter);
    await expect(checkFixtures(fixtures, other, tokenizer, 0.01)).rejects.toMatchObject({
      code: "ERR_EXPORT_LOGITS",
      where: expect.stringContaining("capital of Peru"),
    });
    using same = loadModel(base);
    fixtures.fixtures[0]!.input_ids.push(1);
    await expect(checkFixtures(fixtures, same, tokenizer, 0)).rejects.toMatchObject({
      code: "ERR_EXPORT_TOKENS",
    });
  });

  test("an output that is there is not touched", async () => {
    const out = at("taken");
    copyOf(base, out);
    const before = entries(out);
    await expect(exportModel({ model: base, to: "merged", out })).rejects.toMatchObject({
      code: "ERR_EXPORT_OUT",
    });
    expect(entries(out)).toEqual(before);
  });
});

describe("Modelfile", () => {
  test("carries the layout of the template, as Go writes it", async () => {
    const text = modelfile("m.gguf", await loadTokenizer(base), 256, [2]);
    expect(text).toContain(
      'if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n<|im_start|>assistant\n{{ else if eq .Role "assistant" }}{{ .Content }}<|im_end|>\n{{ end }}',
    );
    expect(text).toContain("FROM ./m.gguf");
    expect(text).toContain('PARAMETER stop "<|im_end|>"');
    expect(text).toContain("PARAMETER num_ctx 256");
  });

  test("carries Tulu's, without the BOS that the file asks for", async () => {
    const model = await familyModel("llama", at("tulu"));
    const text = modelfile("m.gguf", await loadTokenizer(model), 256, []);
    expect(text).toContain(
      '{{ if eq .Role "system" }}<|system|>\n{{ .Content }}\n{{ else if eq .Role "user" }}<|user|>\n',
    );
    expect(text).not.toContain("<s>");
  });

  test("has none where the text around contents looks into them", async () => {
    const model = copyOf(base, at("clever"));
    const clever =
      "{% for m in messages %}{% if 'x' in m['content'] %}X{% endif %}{{ m['content'] }}{% endfor %}";
    writeFileSync(join(model, "chat_template.jinja"), clever);
    expect(modelfile("m.gguf", await loadTokenizer(model), 256, [])).not.toContain("TEMPLATE");
  });
});

describe("the command", () => {
  test("says what was written and how it was checked", async () => {
    const { code, out } = await camelid(
      "export",
      "--model",
      adapter,
      "--to",
      "gguf",
      "--type",
      "q8_0",
      "--out",
      at("cli"),
    );
    expect(code).toBe(0);
    expect(out).toMatch(/checked {2}6 conversations: same ids; logits at most .* %/);
    expect(out).toMatch(/adapter-q8_0\.gguf, 0\.\d MB, up to 256 tokens/);
  });

  test("refuses flags that mean nothing to the form", async () => {
    expectOneClearError(
      await camelid("export", "--model", base, "--to", "merged", "--type", "f32", "--out", at("x")),
      {
        ...{ code: "ERR_USAGE", says: /--type means nothing/ },
      },
    );
  });
});
