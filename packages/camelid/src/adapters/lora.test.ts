import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parityPath } from "../../../../tests/parity/reference.js";
import "../../../../tests/close.js";
import { loadTinyLlama, packedLogits } from "../../../../tests/parity/tiny-llama.js";
import { isAdapterFolder, loadAdapter, readAdapterConfig } from "./adapter-file.js";
import {
  adaptersOf,
  addLora,
  type LoraSettings,
  withAdapters,
  withDropout,
  withoutAdapters,
} from "./lora.js";
import { mergeAdapters } from "./merge.js";

const scratch = mkdtempSync(join(tmpdir(), "camelid-lora-"));
afterAll(() => rmSync(scratch, { recursive: true }));
beforeAll(() => torch.setNumThreads(1));

const settings: LoraSettings = { rank: 4, alpha: 8, dropout: 0, targetModules: ["q_proj", "down_proj"] };
const rows = [[1, 55, 51, 15, 49]];
const base = () => loadTinyLlama("lora/fixtures/base");
const stored = (name: string) => parityPath(`lora/fixtures/${name}`);

describe("a new adapter", () => {
  test("changes nothing: B is zero, and A is uniform within 1 / sqrt(in)", () => {
    using _ = torch.tensorScope();
    using model = base();
    const before = packedLogits(model, rows)[0]!;
    torch.manualSeed(3);
    const adapter = addLora(model, { ...settings, rank: 32 });
    expect(packedLogits(model, rows)[0]!.equal(before)).toBe(true);
    expect(adapter.pairs.size).toBe(4);
    for (const { a, b } of adapter.pairs.values()) {
      expect(b.abs().amax().item()).toBe(0);
      const bound = 1 / Math.sqrt(a.shape[1]!);
      expect(a.abs().amax().item()).toBeLessThanOrEqual(bound);
      expect(a.abs().amax().item()).toBeGreaterThan(0.97 * bound);
      expect(a.std().item()).toBeAllClose(bound / Math.sqrt(3), { atol: 0, rtol: 0.05 });
    }
  });

  test("is scaled by alpha / rank, rank-stabilised by alpha / sqrt(rank)", () => {
    using _ = torch.tensorScope();
    using model = base();
    expect(addLora(model, settings).scaling).toBe(2);
    expect(addLora(model, { ...settings, rslora: true }).scaling).toBe(4);
  });

  test.each([
    ["rank 0", { rank: 0 }, "rank is 0"],
    ["half a rank", { rank: 1.5 }, "rank is 1.5"],
    ["alpha 0", { alpha: 0 }, "alpha is 0"],
    ["a dropout of everything", { dropout: 1 }, "dropout is 1"],
    ["a projection that does not exist", { targetModules: ["q_proj", "c_attn"] }, "called c_attn"],
    ["no projection", { targetModules: [] }, "no projection is named"],
    ["the end of a name that is no whole part", { targetModules: ["proj"] }, "called proj"],
  ])("is refused with %s, and the model stays as it was", (_name, wrong, says) => {
    using model = base();
    expect(() => addLora(model, { ...settings, ...wrong })).toThrow(says);
    expect(adaptersOf(model)).toEqual([]);
  });
});

test("dropout works in training passes only, and is on for nothing else", () => {
  using _ = torch.tensorScope();
  using model = base();
  loadAdapter(model, stored("adapter-all")); // stored with dropout 0.1
  const plain = packedLogits(model, rows)[0]!;
  torch.manualSeed(1);
  const dropped = withDropout(model, () => packedLogits(model, rows)[0]!);
  expect(dropped.equal(plain)).toBe(false);
  expect(packedLogits(model, rows)[0]!.equal(plain)).toBe(true);
  const off = withDropout(model, () => withoutAdapters(model, () => packedLogits(model, rows)[0]!));
  using bare = base();
  expect(off.equal(packedLogits(bare, rows)[0]!)).toBe(true);
});

test("several adapters on one base add up, are chosen one by one, and merge one by one", () => {
  using _ = torch.tensorScope();
  using model = base();
  const [all, attention] = ["adapter-all", "adapter-attention"].map((name) =>
    loadAdapter(model, stored(name)),
  );
  using other = base();
  loadAdapter(other, stored("adapter-attention"));
  const alone = withAdapters(model, [attention!], () => packedLogits(model, rows)[0]!);
  expect(alone.equal(packedLogits(other, rows)[0]!)).toBe(true);
  const both = packedLogits(model, rows)[0]!;
  expect(both.allclose(alone)).toBe(false);
  mergeAdapters(model, rows, [all!]);
  expect(adaptersOf(model)).toEqual([attention]);
  expect(packedLogits(model, rows)[0]!).toBeAllClose(both, { atol: 2e-5, rtol: 2e-5 });
});

test("an error inside leaves the adapters as they were", () => {
  using model = base();
  const adapter = addLora(model, settings);
  const fail = () => {
    throw new Error("no");
  };
  expect(() => withoutAdapters(model, fail)).toThrow("no");
  expect(() => withDropout(model, fail)).toThrow("no");
  expect([adapter.enabled, adapter.drops]).toEqual([true, false]);
});

test("a model frees its adapters with itself", () => {
  const before = torch.memoryStats().liveTensors;
  {
    using model = base();
    addLora(model, settings);
    loadAdapter(model, stored("adapter-all"));
    torch.tensorScope(() => {
      packedLogits(model, rows);
    });
  }
  {
    using model = base();
    loadAdapter(model, stored("adapter-all"));
    mergeAdapters(model, rows);
  }
  expect(torch.memoryStats().liveTensors).toBe(before);
});

describe("an adapter that cannot be used is refused by name", () => {
  const changed = (name: string, change: (config: Record<string, unknown>) => void): string => {
    const folder = join(scratch, name);
    cpSync(stored("adapter-attention"), folder, { recursive: true });
    const config = JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"));
    change(config);
    writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(config));
    return folder;
  };

  test("another rank than the weights have", () => {
    using model = base();
    const folder = changed("rank", (config) => {
      config.r = 5;
    });
    expect(() => loadAdapter(model, folder)).toThrow(
      /q_proj\.lora_A\.weight" has shape \[3,32\] instead of \[5,32\]/,
    );
    expect(adaptersOf(model)).toEqual([]);
  });

  test("targets without weights, weights without a target", () => {
    using model = base();
    const more = changed("more", (config) => {
      config.target_modules = ["q_proj", "v_proj", "o_proj"];
    });
    expect(() => loadAdapter(model, more)).toThrow(/o_proj\.lora_A\.weight" is missing/);
    const fewer = changed("fewer", (config) => {
      config.target_modules = ["q_proj"];
    });
    expect(() => loadAdapter(model, fewer)).toThrow(/v_proj\.lora_A\.weight" belongs to no projection/);
  });

  test.each([
    ["use_dora", true],
    ["bias", "all"],
    ["rank_pattern", { q_proj: 8 }],
    ["modules_to_save", ["lm_head"]],
  ])("PEFT's %s", (key, value) => {
    const folder = changed(key, (config) => {
      config[key] = value;
    });
    expect(() => readAdapterConfig(folder)).toThrow(key);
  });

  test("another kind of adapter, and a pattern for names", () => {
    const prefix = changed("prefix", (config) => {
      config.peft_type = "PREFIX_TUNING";
    });
    expect(() => readAdapterConfig(prefix)).toThrow("peft_type");
    const pattern = changed("pattern", (config) => {
      config.target_modules = ".*proj";
    });
    expect(() => readAdapterConfig(pattern)).toThrow("target_modules");
    expect(isAdapterFolder(pattern)).toBe(true);
    expect(isAdapterFolder(stored("base"))).toBe(false);
  });
});
