/** The books of blocks and steps, without a model: what is computed when, and who has which memory. */
import * as torch from "@camelid/torch";
import { afterEach, expect, test } from "vitest";
import { random } from "../../../../tests/tiny-model.js";
import { parseConfig } from "../model/config.js";
import { BLOCK_TOKENS, KvBlocks } from "../model/kv-cache.js";
import { PrefixTree } from "./prefix-tree.js";
import { type PlannedRow, Scheduler, type Sequence } from "./scheduler.js";

const config = parseConfig({
  ...{ model_type: "llama", vocab_size: 10, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, num_key_value_heads: 1 },
});
const options = { device: "cpu", dtype: "float32" } as const;
const { blockBytes } = new KvBlocks(config, 0, options);
const made: KvBlocks[] = [];
afterEach(() => {
  for (const blocks of made.splice(0)) blocks[Symbol.dispose]();
});

interface Text extends Sequence {
  name: string;
  end: number;
}

function setUp(blocks: number, limits = { maxSequences: 4, maxStepTokens: 32 }) {
  const memory = new KvBlocks(config, blocks * blockBytes, options);
  made.push(memory);
  const scheduler = new Scheduler<Text>(new PrefixTree(memory), limits);
  return { memory, scheduler };
}

function text(name: string, tokens: number[], newTokens = 1): Text {
  const own: Text = {
    name,
    tokens: [...tokens],
    end: tokens.length + newTokens,
    computed: 0,
    blocks: [],
    nodes: [],
    reusable: () => own.tokens.length - 1,
  };
  return own;
}

/** A step as the engine does it; every text that is computed to its end gets a token. */
function step(scheduler: Scheduler<Text>, token = 5): Record<string, number> {
  const rows: PlannedRow<Text>[] = scheduler.plan();
  for (const { sequence, position, count, blocks } of rows) {
    expect(position).toBe(sequence.computed);
    expect(blocks.length * BLOCK_TOKENS).toBeGreaterThanOrEqual(position + count);
  }
  scheduler.advance(rows);
  for (const { sequence, position, count } of rows) {
    if (position + count < sequence.tokens.length) continue;
    sequence.tokens.push(token);
    if (sequence.tokens.length >= sequence.end) scheduler.remove(sequence);
  }
  return Object.fromEntries(rows.map(({ sequence, count }) => [sequence.name, count]));
}

const counting = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => (i + from) % 1000);

test("a long prompt is computed in stretches, between which others go on and newcomers join", () => {
  const { scheduler } = setUp(40);
  scheduler.add(text("early", counting(4, 500), 9));
  expect(step(scheduler)).toEqual({ early: 4 });
  scheduler.add(text("long", counting(80), 3));
  expect(step(scheduler)).toEqual({ early: 1, long: 31 });
  scheduler.add(text("late", counting(6, 700), 2));
  expect(step(scheduler)).toEqual({ early: 1, long: 31 });
  expect(step(scheduler)).toEqual({ early: 1, long: 18, late: 6 });
  expect(step(scheduler)).toEqual({ early: 1, long: 1, late: 1 });
  expect(step(scheduler)).toEqual({ early: 1, long: 1 });
});

test("a beginning that another text computes right now is waited for, and then shared", () => {
  const { scheduler, memory } = setUp(40);
  const header = counting(50);
  scheduler.add(text("first", [...header, 600]));
  scheduler.add(text("second", [...header, 601]));
  scheduler.add(text("other", counting(3, 900)));
  expect(step(scheduler)).toEqual({ first: 32 });
  // 48 tokens in whole blocks; the last 2 and the own one are computed, or copied where that is worth it.
  expect(step(scheduler)).toEqual({ first: 19, other: 3 });
  expect(step(scheduler)).toEqual({ second: 3 });
  expect(scheduler.reusedTokens).toBe(48);
  expect(memory.peakBytes).toBeLessThanOrEqual(6 * blockBytes);
});

test("a part of a block is copied, so that only new tokens are computed", () => {
  const { scheduler } = setUp(40);
  const header = counting(26);
  scheduler.add(text("first", [...header, 600, 601]));
  step(scheduler);
  scheduler.add(text("second", [...header, 602]));
  expect(step(scheduler)).toEqual({ second: 1 });
});

test("a conversation goes on where its last answer ended", () => {
  const { scheduler } = setUp(40);
  const first = text("first", counting(20), 35);
  scheduler.add(first);
  while (!scheduler.isIdle) step(scheduler);
  scheduler.add(text("second", [...first.tokens, 8, 9]));
  // The answer's last token was never computed.
  expect(step(scheduler)).toEqual({ second: 3 });
});

test("texts wait while memory is full, the youngest gives way, and every text ends", () => {
  const next = random(4);
  for (const blocks of [7, 8, 12, 20]) {
    const { scheduler, memory } = setUp(blocks, { maxSequences: 5, maxStepTokens: 24 });
    const texts = Array.from({ length: 12 }, (_, i) =>
      text(
        `${i}`,
        counting(1 + Math.floor(next() * 60), i % 3 === 0 ? 0 : i * 50),
        1 + Math.floor(next() * 50),
      ),
    );
    for (const one of texts) scheduler.add(one);
    let steps = 0;
    while (!scheduler.isIdle && steps++ < 3000) {
      step(scheduler);
      expect(memory.usedBytes).toBeLessThanOrEqual(blocks * blockBytes);
      expect(memory.reservedBytes).toBeLessThanOrEqual(blocks * blockBytes);
    }
    expect(texts.every(({ tokens, end }) => tokens.length === end)).toBe(true);
  }
});

test("a text that is taken out frees its memory at once, and no promise of its unfinished blocks stays", () => {
  const { scheduler, memory } = setUp(40);
  const first = text("first", counting(70));
  scheduler.add(first);
  step(scheduler);
  scheduler.remove(first);
  // Two blocks were finished and stay for others as long as there is room; nobody waits for the rest.
  expect(memory.usedBytes).toBe(2 * blockBytes);
  scheduler.add(text("second", counting(70)));
  expect(step(scheduler)).toEqual({ second: 32 });
});

test("all memory can be had again when everything has ended", () => {
  const { scheduler } = setUp(5);
  for (const from of [0, 200, 400]) {
    scheduler.add(text("whole", counting(79, from)));
    while (!scheduler.isIdle) step(scheduler);
  }
  expect(torch.memoryStats().liveTensors).toBe(1);
});
