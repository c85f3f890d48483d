/** Several devices: messages, links and parts, by hand; published figures; the search over clusters. */
import { describe, expect, test } from "vitest";
import { shareOut } from "../parallel/share.js";
import { stepShape, usualLengths } from "./batches.js";
import { bytesOnLinks, messageSeconds } from "./collectives.js";
import { exchangeTime, stepBytes, stepMessages } from "./exchange.js";
import { findHardware } from "./hardware.js";
import { planMemory } from "./memory.js";
import { blocksOf, trainedParameters } from "./parameters.js";
import { publishedShape } from "./shapes.js";
import { tokenFlops } from "./time.js";
import { topologyOf, usualCounts } from "./topology.js";

const h100 = findHardware("h100")!;
const MB = 1e6;
const links = { linkBytes: 100e9, networkBytes: 10e9, latency: 0 };

describe("links", () => {
  test("a ring inside a node sends twice (n - 1) / n of a tensor", () => {
    const node = topologyOf(h100, 8, links);
    expect(messageSeconds({ kind: "allReduce", bytes: 80 * MB }, node)).toBeCloseTo(
      (2 * 7 * 10e6) / 100e9,
      9,
    );
    expect(messageSeconds({ kind: "broadcast", bytes: 80 * MB }, node)).toBeCloseTo(80e6 / 100e9, 9);
  });

  test("between nodes all cards of a node carry a part, and the slower of links and cards sets the pace", () => {
    const nodes = topologyOf(h100, 16, links);
    expect(messageSeconds({ kind: "reduce", bytes: 80 * MB }, nodes)).toBeCloseTo(80e6 / (8 * 10e9), 9);
    const single = topologyOf(h100, 16, { ...links, devicesPerNode: 1 });
    expect(messageSeconds({ kind: "reduce", bytes: 80 * MB }, single)).toBeCloseTo(80e6 / 10e9, 9);
  });

  test("a short message between many nodes climbs a tree and does not go around", () => {
    const many = topologyOf(h100, 512);
    // 7 links up and down in the node, log2(64) between nodes.
    const tree = 2 * (7 * many.linkLatency + 6 * many.networkLatency);
    expect(messageSeconds({ kind: "allReduce", bytes: 8 }, many)).toBeCloseTo(tree, 7);
  });

  test("Gloo on four processes: a ring that adds, ring and gather, a tree", () => {
    const stated = { linkBytes: 1e9, sumBytes: 0.5e9, latency: 0.001 };
    const four = topologyOf(findHardware("here")!, 4, stated);
    const seconds = (kind: "allReduce" | "reduce" | "broadcast") =>
      messageSeconds({ kind, bytes: 40 * MB }, four);
    // 30 MB twice around, and added once.
    expect(seconds("allReduce")).toBeCloseTo(0.06 + 0.06 + 6 * 0.001, 9);
    // 40 MB are 39 segments of a MiB, 40 for four ranks: each sends and adds 38 of them in the ring.
    expect(seconds("reduce")).toBeCloseTo(0.038 + 0.03 + 0.076 + 4 * 0.001, 9);
    expect(seconds("broadcast")).toBeCloseTo(2 * (0.04 + 0.001), 9);
    expect(bytesOnLinks({ kind: "allReduce", bytes: 40 }, 4, "gloo")).toBe(240);
    expect(bytesOnLinks({ kind: "reduce", bytes: 40 }, 4, "gloo")).toBe(150);
    expect(bytesOnLinks({ kind: "reduce", bytes: 40 * MB }, 4, "gloo")).toBe(4 * 38 * MB + 30 * MB);
    expect(bytesOnLinks({ kind: "broadcast", bytes: 40 }, 4, "gloo")).toBe(120);
  });

  test.each([
    [12, {}, /12 devices do not fill nodes of 8/],
    [2.5, {}, /2.5 is not a number of devices/],
    [9000, {}, /9000 is not a number of devices/],
    [8, { devicesPerNode: 0 }, /0 is not a number of devices/],
  ])("%s devices, %j are refused", (devices, stated, words) => {
    expect(() => topologyOf(h100, devices, stated)).toThrow(words);
  });

  test("sizes of clusters are halves of a node and whole nodes", () => {
    expect(usualCounts(8, 64)).toEqual([1, 2, 4, 8, 16, 24, 32, 48, 64]);
  });
});

const shape7b = publishedShape("llama-2-7b")!;
const trainedOf = (config = shape7b) => ({
  parameters: trainedParameters(config, null, "bfloat16"),
  weights: blocksOf(config, "bfloat16"),
  isLora: false,
});

describe("messages of a step", () => {
  const size = 2 * 6.738415616e9; // bytes of 7B in bf16

  test("gradients once, or after each pass; updates once; by the bytes of the model", () => {
    const bytes = (shard: "none" | "optimizer" | "gradients", passes: number) =>
      stepBytes(stepMessages(trainedOf(), shard, 8, passes), topologyOf(h100, 8)) / size;
    expect(bytes("none", 4)).toBeCloseTo(2 * 7, 2);
    expect(bytes("optimizer", 4)).toBeCloseTo(7 + 7, 2);
    expect(bytes("gradients", 4)).toBeCloseTo(4 * 7 + 7, 2);
  });

  test("in parts, projections are gathered up and down, and what every rank has is sent once", () => {
    const messages = stepMessages(trainedOf(), "parameters", 8, 2);
    const layer = 4 * 4096 ** 2 + 3 * 4096 * 11008;
    expect(messages.fetches).toBe(32 + 31 + 31 + 31);
    expect(messages.fetch.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(2 * layer);
    const rest = size - 32 * 2 * layer;
    expect(stepBytes(messages, topologyOf(h100, 8)) / 7).toBeCloseTo(
      125 * 2 * layer + 2 * 32 * 2 * layer + 2 * rest,
      -5,
    );
  });

  test("what a backward pass has time for is not waited for", () => {
    const messages = stepMessages(trainedOf(), "none", 16, 1);
    const node = topologyOf(h100, 16);
    const slow = exchangeTime(messages, node, { seconds: 10, backwardShare: 2 / 3 });
    const last = messageSeconds(messages.sums.at(-1)!, node);
    expect(slow.exposed).toBeCloseTo(last, 6);
    const fast = exchangeTime(messages, node, { seconds: 0, backwardShare: 2 / 3 });
    expect(fast.exposed).toBeCloseTo(fast.busy, 9);
    expect(slow.busy).toBe(fast.busy);
  });
});

describe("memory of the fullest rank", () => {
  const nothing = { fixed: 0, perLayer: 0, perToken: 0, perLayerToken: 0 };
  const masters = { stateBytes: 12, extraBytes: 0, msPerMillion: 0 };
  const memory = (shard: "none" | "optimizer" | "gradients" | "parameters", ranks: number, name: string) => {
    const config = publishedShape(name)!;
    return planMemory(
      {
        ...({ config, precision: "bf16-mixed", lora: null, quantize: null, shard, ranks } as const),
        ...{ optimizerInBackward: false, rankBatches: 2, fullestBatch: 0, ...trainedOf(config) },
      },
      { bytes: nothing, ms: nothing },
      masters,
    );
  };

  test("70B on 64 GPUs: 16 bytes / 64 a weight, two blocks, embedding, head, and what travels", () => {
    const config = publishedShape("llama-2-70b")!;
    const { blocks, whole, all } = blocksOf(config, "bfloat16");
    const bytes = (some: readonly { sizeBytes: number }[]) =>
      some.reduce((sum, one) => sum + one.sizeBytes, 0);
    // The largest share, dealt out here once more; states are six times the bytes in bf16.
    const shares = shareOut(
      all.map(({ sizeBytes }) => sizeBytes),
      64,
    ).map((places) => bytes(places.map((place) => all[place]!)));
    const own = Math.max(...shares);
    expect(own / (bytes(all) / 64)).toBeLessThan(1.25);
    const plan = memory("parameters", 64, "llama-2-70b");
    expect(plan.optimizer).toBe(6 * own);
    const block = bytes(blocks[0]!);
    const ownBlocks = plan.weights - bytes(whole) - 2 * block * (63 / 64);
    expect(ownBlocks).toBeLessThanOrEqual(own);
    expect(ownBlocks).toBeGreaterThan(0.8 * own);
    // Gradients: its own, those of whole weights, two blocks.
    expect(plan.gradients).toBeLessThan(1.01 * (own + bytes(whole) + 2 * block));
    expect(plan.peak / 1e9).toBeGreaterThan((16 * 69) / 64);
    expect(plan.peak / 1e9).toBeLessThan(32);
  });

  test("each stage takes less, and less on more ranks", () => {
    const peak = (shard: "none" | "optimizer" | "gradients" | "parameters", ranks: number) =>
      memory(shard, ranks, "llama-2-7b").peak / 6.738e9;
    expect(peak("none", 8)).toBeCloseTo(16, 0);
    expect(peak("optimizer", 8)).toBeCloseTo(4 + 12 / 8, 0);
    expect(peak("gradients", 8)).toBeLessThan(2 + 14 / 8 + 0.6);
    expect(peak("parameters", 8)).toBeLessThan(16 / 8 + 0.8);
    expect(peak("parameters", 64)).toBeLessThan(peak("parameters", 8));
  });
});

describe("rows on ranks", () => {
  const settings = { microBatchSize: 1, gradAccumSteps: 128, maxSeqLen: 8192, packing: true };
  const run = { ...settings, epochs: 2, maxSteps: null, seed: 1 };

  test("rows that are alike are dealt evenly; a step of 128 gives nothing to the 129th device", () => {
    const rows = { lengths: Array.from({ length: 1280 }, () => 500) };
    expect(stepShape(rows, run, 64, 10)).toMatchObject({ steps: 20, stepTokens: 64_000, rankTokens: 1000 });
    expect(stepShape(rows, run, 512, 10)).toMatchObject({ rankTokens: 500, rankBatches: 1, context: 250 });
  });

  test("one long row sets the pace of all", () => {
    const rows = { lengths: Array.from({ length: 128 }, (_, i) => (i === 7 ? 8000 : 100)) };
    expect(stepShape(rows, run, 32, 2).rankTokens).toBe(8000);
  });

  test("usual lengths have the mean that was given, and none is too long", () => {
    const lengths = usualLengths(600, 8192);
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    expect(mean).toBeCloseTo(600, -1);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(8192);
    expect(lengths[500]! / mean).toBeCloseTo(0.64, 1);
    expect(new Set(usualLengths(4096, 4096))).toEqual(new Set([4096]));
  });
});

describe("published figures of others, as a check of the arithmetic (sources in docs/results/planning.md)", () => {
  const full = { isLora: false, activationCheckpointing: false, referencePass: false };
  const lora = { ...full, isLora: true };
  const flops = (name: string, method: typeof full, rowTokens: number) =>
    tokenFlops(publishedShape(name)!, method, rowTokens / 2);

  test("NeMo's TFLOP/s of 7B and its tokens a second differ by what attention takes", () => {
    expect((flops("llama-2-7b", full, 4096) * 16_891) / 1e12 / 673).toBeGreaterThan(0.95);
    expect((flops("llama-2-7b", full, 4096) * 16_891) / 1e12 / 673).toBeLessThan(1.1);
  });

  test("from NeMo's rate on 7B that on 70B follows within 10 %, and that of LoRA", () => {
    const rate = flops("llama-2-7b", full, 4096) * 16_891;
    expect(rate / flops("llama-2-70b", full, 4096) / 1816).toBeGreaterThan(0.9);
    expect(rate / flops("llama-2-70b", full, 4096) / 1816).toBeLessThan(1.1);
    expect(rate / flops("llama-2-7b", lora, 4096) / 24_824).toBeGreaterThan(0.9);
    expect(rate / flops("llama-2-7b", lora, 4096) / 24_824).toBeLessThan(1.1);
  });

  test("torchtitan's 33 to 39 % of an H100 on 8B are 30 to 35 % when only attention that is used counts", () => {
    const share = (rate: number) => (flops("llama-3.1-8b", full, 8192) * rate) / 989e12;
    expect(share(5762)).toBeCloseTo(0.3, 2);
    expect(share(6667)).toBeCloseTo(0.347, 2);
  });
});
