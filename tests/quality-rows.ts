/** Rows for the data quality tests: made by hand, or real ones when the shared data lies beside the checkout. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Conversation, Message } from "../packages/camelid/src/data/conversation.js";
import { sharedData } from "./shared-data.js";

/** `turns` alternate user, assistant. */
export function conversation(
  turns: string | readonly string[],
  dataset = "test",
  id = "test_0",
): Conversation {
  const contents = typeof turns === "string" ? [turns] : turns;
  const messages = contents.map(
    (content, i): Message => ({ role: i % 2 === 0 ? "user" : "assistant", content }),
  );
  return { dataset, id, messages };
}

export function readShared(path: string): string {
  const file = join(sharedData()!, path);
  const bytes = readFileSync(file);
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
}

export function readSharedLines(path: string): string[] {
  return readShared(path)
    .split("\n")
    .filter((line) => line.trim() !== "");
}

interface Instruction {
  instruction: string;
  input: string;
  output: string;
}

/** Some 24,000 rows of instruction sources; the three Alpaca subsets overlap. */
export function realInstructionRows(): Conversation[] | undefined {
  if (sharedData() === undefined) return undefined;
  const files = {
    alpaca_9k: "stanford_alpaca/alpaca_random_9k.json.gz",
    alpagasus: "stanford_alpaca/alpagasus_claude_t45.json.gz",
    cherry: "stanford_alpaca/cherry_alpaca_5_percent.json.gz",
    gpt4_alpaca: "gpt4_alpaca/alpaca_en_demo.json.gz",
    dolly: "dolly/dolly_3k.json.gz",
  };
  return Object.entries(files).flatMap(([dataset, path]) =>
    (JSON.parse(readShared(path)) as Instruction[]).map(({ instruction, input, output }, i) =>
      conversation(
        [input === "" ? instruction : `${instruction}\n\n${input}`, output],
        dataset,
        `${dataset}_${i}`,
      ),
    ),
  );
}

export function shareGptRows(): Conversation[] | undefined {
  if (sharedData() === undefined) return undefined;
  const raw = JSON.parse(readShared("sharegpt/sharegpt_sample.json.gz")) as {
    id: string;
    conversations: { from: string; value: string }[];
  }[];
  return raw.map(({ id, conversations }) => ({
    dataset: "sharegpt",
    id: `sharegpt_${id}`,
    messages: conversations.map(({ from, value }) => ({
      role: from === "human" ? "user" : "assistant",
      content: value,
    })),
  }));
}
