// Prompts and items cut from the rows: the same for every contestant.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer } from "../../packages/camelid/dist/index.js";

const PROMPTS = 32;
const SUBJECTS = 2;

export async function makePrompts(folder, model, jsonl, items) {
  const tokenizer = await loadTokenizer(model);
  const texts = jsonl
    .trim()
    .split("\n")
    .slice(0, 4000)
    .map((line) =>
      JSON.parse(line)
        .messages.map((message) => message.content)
        .join("\n"),
    );
  const ids = (await tokenizer.encodeBatch(texts)).flat();
  let at = 0;
  const take = (count) => {
    const start = at % Math.max(1, ids.length - count);
    at += count;
    return ids.slice(start, start + count);
  };
  // 16 to 512, evenly, in an order that is not sorted.
  const lengths = Array.from(
    { length: PROMPTS },
    (_, i) => 16 + Math.round((((i * 13) % PROMPTS) * 496) / (PROMPTS - 1)),
  );
  const prompts = lengths.map((length) => [1, ...take(length - 1)]);

  const text = (count) => tokenizer.decode(take(count)).trim().replaceAll("\n", " ");
  const question = () => `${text(70)}\nA. ${text(6)}\nB. ${text(6)}\nC. ${text(6)}\nD. ${text(6)}\nAnswer:`;
  const headers = Array.from(
    { length: SUBJECTS },
    () =>
      `The following are multiple choice questions.\n\n${Array.from({ length: 5 }, (_, i) => `${question()} ${"ABCD"[i % 4]}\n\n`).join("")}`,
  );
  const contexts = Array.from(
    { length: items },
    (_, i) => headers[Math.floor((i * SUBJECTS) / items)] + question(),
  );
  const path = join(folder, "prompts.json");
  writeFileSync(path, JSON.stringify({ prompts, contexts, choices: [" A", " B", " C", " D"] }));
  return path;
}
