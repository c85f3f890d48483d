/** llama.cpp itself, where `node-llama-cpp` is installed: does it read the same ids and compute the same logits? */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ModelError } from "../../errors.js";
import { compileChatTemplate } from "../../tokenizer/chat-template.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { effectiveChatTemplate } from "../../tokenizer/write-tokenizer.js";
import type { ParityFixtures } from "../fixtures.js";
import { withBos } from "./sentence-piece.js";

/** Keys and values are kept in fp16 by default, which moves logits in the third digit. */
const FULL_PRECISION_CACHE = {
  experimentalKvCacheKeyType: "F32",
  experimentalKvCacheValueType: "F32",
  flashAttention: false,
};

/** The part of node-llama-cpp 3 that is used here. */
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string }): Promise<LlamaModel>;
    dispose(): Promise<void>;
  }>;
}
interface LlamaModel {
  tokenize(text: string, specialTokens: boolean): number[];
  createContext(options: object): Promise<{ getSequence(): LlamaSequence }>;
}
interface LlamaSequence {
  controlledEvaluate(
    input: readonly unknown[],
  ): Promise<readonly ({ next: { logits?: Map<number, number> } } | undefined)[]>;
  clearHistory(): Promise<void>;
}

export interface LlamaCppResult {
  /** Fixtures whose text llama.cpp cuts into the same ids; those with special tokens in a message are not asked. */
  sameIds: number;
  asked: number;
  sameFirst: number;
  fixtures: number;
  /** Largest difference of a logit over the largest logit. */
  worst: number;
}

/**
 * @param from folder from which `node-llama-cpp` is looked for
 * @returns undefined when it is not installed there
 */
export async function findNodeLlamaCpp(from: string): Promise<unknown> {
  try {
    const path = createRequire(join(from, "camelid.js")).resolve("node-llama-cpp");
    return await import(pathToFileURL(path).href);
  } catch {
    return undefined;
  }
}

/** @throws {ModelError} `ERR_EXPORT_LLAMA_CPP` */
export async function checkWithLlamaCpp(
  module: unknown,
  path: string,
  fixtures: ParityFixtures,
  tokenizer: Tokenizer,
  allowed: number,
): Promise<LlamaCppResult> {
  const { getLlama } = module as NodeLlamaCpp;
  const llama = await getLlama({
    gpu: false,
    build: "never",
    logLevel: "error",
    progressLogs: false,
    maxThreads: 2,
  });
  try {
    const model = await llama.loadModel({ modelPath: path });
    const longest = Math.max(...fixtures.fixtures.map(({ input_ids }) => input_ids.length));
    const context = await model.createContext({
      contextSize: longest + 8,
      sequences: 1,
      ...FULL_PRECISION_CACHE,
    });
    const sequence = context.getSequence();
    const result = { sameIds: 0, asked: 0, sameFirst: 0, fixtures: fixtures.fixtures.length, worst: 0 };
    const template = compileChatTemplate(effectiveChatTemplate(tokenizer), tokenizer, tokenizer.folder);
    for (const { messages, input_ids, top } of fixtures.fixtures) {
      const where = `${path}: ${JSON.stringify(messages.at(-1)?.content)}`;
      if (messages.every(({ content }) => tokenizer.specials.find(content).length === 0)) {
        const text = template.render(messages, { addGenerationPrompt: true });
        result.asked++;
        const ids = withBos(model.tokenize(text, true), tokenizer);
        if (ids.join() === input_ids.join()) result.sameIds++;
        else throw failed(where, `reads the ids ${ids}, not ${input_ids}`);
      }
      await sequence.clearHistory();
      const last = [input_ids.at(-1)!, { generateNext: { logits: true } }];
      const outputs = await sequence.controlledEvaluate([...input_ids.slice(0, -1), last]);
      const logits = outputs.at(-1)!.next.logits!;
      const scale = Math.max(1, ...top.map(({ logit }) => Math.abs(logit)));
      for (const { id, logit } of top) {
        const moved = Math.abs(logits.get(id)! - logit) / scale;
        if (!(moved <= allowed))
          throw failed(where, `gives token ${id} the logit ${logits.get(id)}, not ${logit}`);
        result.worst = Math.max(result.worst, moved);
      }
      if ([...logits.values()].every((logit) => logit <= logits.get(top[0]!.id)!)) result.sameFirst++;
    }
    return result;
  } finally {
    await llama.dispose();
  }
}

function failed(where: string, what: string): ModelError {
  return new ModelError("ERR_EXPORT_LLAMA_CPP", `llama.cpp ${what}.`, {
    where,
    fix: "export with --to merged instead; this file would answer differently, so it was not written.",
  });
}
