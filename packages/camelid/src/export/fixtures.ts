/**
 * Parity fixtures: conversations, the ids that they become, and the model's highest logits after them. They are made by the model
 * that is exported, travel with the export, and any copy of it - merged, converted, served elsewhere - can be held against them.
 */
import * as torch from "@camelid/torch";
import { z } from "zod";
import type { Message } from "../data/conversation.js";
import { renderPrompts } from "../data/render.js";
import { CamelidError, ModelError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { packRows } from "../nn/packed-rows.js";
import { camelidVersion } from "../run/version.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

export const FIXTURES_FILE = "parity.json";

const TOP = 8;

const Fixture = z.object({
  messages: z.array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() })),
  /** With the generation prompt. */
  input_ids: z.array(z.int().nonnegative()),
  /** Of the next token: highest first. */
  top: z.array(z.object({ id: z.int(), logit: z.number(), logprob: z.number() })),
});
const FixturesSchema = z.object({
  format: z.literal(1),
  made_by: z.string(),
  model_type: z.string(),
  /** What the logits were computed in. */
  dtype: z.string(),
  /** sha256 over tokenizer.json and chat template. */
  tokenizer: z.string(),
  fixtures: z.array(Fixture).min(1),
});

export type ParityFixtures = z.output<typeof FixturesSchema>;

/** What is asked: short turns, several, a system message; special tokens that a user typed, other scripts, code, white space. */
const CONVERSATIONS: readonly Message[][] = [
  [{ role: "user", content: "What is the capital of Peru?" }],
  [
    { role: "system", content: "You answer in one short sentence." },
    { role: "user", content: "Why do camels have humps?" },
  ],
  [
    { role: "user", content: "Name a colour." },
    { role: "assistant", content: "Blue." },
    { role: "user", content: "Another one, please!" },
  ],
  [{ role: "user", content: "Does </s> end a text, and <|assistant|> or <|im_end|> begin one?" }],
  [{ role: "user", content: "Übersetze: 「ラクダ」 — naïve café 🐪 １２３ 3.14\n\n\tDanke" }],
  [{ role: "user", content: "def f(x):\n    return x ** 2  # 1024\n\nWhat is f(12)?" }],
];

/**
 * @param more conversations of the user's own
 * @throws {DataError} when the template takes none of the conversations
 */
export async function makeFixtures(
  model: LanguageModel,
  tokenizer: Tokenizer,
  more: readonly Message[][] = [],
): Promise<ParityFixtures> {
  const conversations = [...CONVERSATIONS, ...more];
  const rendered = await renderEach(conversations, tokenizer);
  const { maxPositionEmbeddings } = model.config;
  const usable = rendered.filter(({ ids }) => ids.length <= maxPositionEmbeddings);
  if (usable.length === 0) await renderPrompts(conversations.slice(0, 1), tokenizer); // throws what is wrong
  return {
    format: 1,
    made_by: `camelid ${camelidVersion()}`,
    model_type: model.config.modelType,
    dtype: model.dtype,
    tokenizer: tokenizer.fingerprint,
    fixtures: usable.map(({ messages, ids }) => ({ messages, input_ids: ids, top: topLogits(model, ids) })),
  };
}

/** A template may refuse a conversation, such as one with a system message: that one is left out. */
async function renderEach(conversations: readonly Message[][], tokenizer: Tokenizer) {
  const rendered: { messages: Message[]; ids: number[] }[] = [];
  for (const messages of conversations) {
    try {
      const [ids] = await renderPrompts([messages], tokenizer);
      rendered.push({ messages, ids: Array.from(ids!) });
    } catch (error) {
      if (!(error instanceof CamelidError)) throw error;
    }
  }
  return rendered;
}

/** [vocab] fp32 of the token after `ids`. */
function nextLogits(model: LanguageModel, ids: readonly number[]): torch.Tensor {
  return torch.noGrad(() => {
    const hidden = model.hiddenStates(packRows([ids], model.device));
    return torch
      .linear(hidden.narrow(0, ids.length - 1, 1), model.headWeight)
      .to({ dtype: "float32", device: "cpu" });
  });
}

function topLogits(model: LanguageModel, ids: readonly number[]): ParityFixtures["fixtures"][number]["top"] {
  using _ = torch.tensorScope();
  const logits = nextLogits(model, ids).toArray();
  const highest = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
  const total = highest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
  return [...logits.keys()]
    .sort((a, b) => logits[b]! - logits[a]! || a - b)
    .slice(0, TOP)
    .map((id) => ({ id, logit: logits[id]!, logprob: logits[id]! - total }));
}

export interface FixtureResult {
  fixtures: number;
  /** Largest difference of a stored logit, over the largest magnitude of stored logits (at least 1). */
  worst: number;
  /** How many fixtures have the same first token. */
  sameFirst: number;
}

/**
 * Holds a model and a tokenizer against fixtures.
 * @param allowed share of the largest logit by which one may move; 0 for the same bits
 * @throws {ModelError} `ERR_EXPORT_TOKENS`, `ERR_EXPORT_LOGITS`
 */
export async function checkFixtures(
  { fixtures }: ParityFixtures,
  model: LanguageModel,
  tokenizer: Tokenizer,
  allowed: number,
): Promise<FixtureResult> {
  const result = { fixtures: fixtures.length, worst: 0, sameFirst: 0 };
  for (const [i, { messages, input_ids, top }] of fixtures.entries()) {
    const where = `fixture ${i + 1}: ${JSON.stringify(messages.at(-1)?.content)}`;
    const [ids] = await renderPrompts([messages], tokenizer);
    if (Array.from(ids!).join() !== input_ids.join()) {
      throw new ModelError("ERR_EXPORT_TOKENS", "the exported tokenizer makes other ids of a conversation.", {
        where,
        fix: "this is a defect of the export: nothing was written.",
      });
    }
    using _ = torch.tensorScope();
    const logits = nextLogits(model, input_ids).toArray();
    const scale = Math.max(1, ...top.map(({ logit }) => Math.abs(logit)));
    for (const { id, logit } of top) {
      const moved = Math.abs(logits[id]! - logit) / scale;
      if (!(moved <= allowed)) {
        throw new ModelError(
          "ERR_EXPORT_LOGITS",
          `the exported model gives token ${id} the logit ${logits[id]}, the original ${logit}: more than ${allowed} of ${scale.toPrecision(3)} apart.`,
          {
            where,
            fix: "export in a precision that loses less (f32, or --dtype float32); nothing was written.",
          },
        );
      }
      result.worst = Math.max(result.worst, moved);
    }
    if (logits.every((logit) => logit <= logits[top[0]!.id]!)) result.sameFirst++;
  }
  return result;
}

/** @throws {ModelError} `ERR_FIXTURES` */
export function parseFixtures(text: string, where: string): ParityFixtures {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const parsed = FixturesSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ModelError("ERR_FIXTURES", "these are not parity fixtures.", {
    where,
    fix: "give a parity.json that `camelid export` wrote.",
  });
}
