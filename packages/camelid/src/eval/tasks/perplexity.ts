/** Perplexity of any file: how surprised the model is by a text, per token and per byte. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { gunzipSync } from "node:zlib";
import { parseConversation } from "../../data/conversation.js";
import { DataError } from "../../errors.js";
import { answerAt } from "../backend.js";
import type { Answer, Graded, Prompt, Task, TaskContext, TaskItem, TaskRequest } from "../task.js";

export interface PerplexityItem extends TaskItem {
  /** Answers to given prompts, or a text with nothing before it. */
  readonly parts: readonly ({ text: string } | { prompt: Prompt; answer: string })[];
}

/** A text file is cut into pieces of about this many characters, at line ends: a piece is what is cached and resumed. */
const PIECE = 1 << 16;

export const perplexity: Task<PerplexityItem> = {
  name: "perplexity",
  title: "Perplexity",
  summary: "of any text, or of the answers in conversations: exp of the mean -log p per token",
  profiles: {
    standard:
      "Each document by itself after BOS, in windows as long as the context (--options perplexity.overlap=N repeats N tokens of the window before as context).",
    "tulu2-paper": "Not part of the paper; as standard.",
  },
  metric: { name: "perplexity", unit: "", lowerIsBetter: true },
  files: [],
  needsScores: true,
  userFiles: true,

  async load(context) {
    const files = context.settings.text?.split(",") ?? [];
    if (files.length === 0) {
      throw new DataError("ERR_EVAL_DATA_MISSING", "perplexity needs a file.", {
        where: "perplexity",
        fix: "name it: --text FILE (plain text, JSON lines with text, or JSON lines with messages).",
      });
    }
    return files.flatMap((file) => (/\.jsonl(\.gz)?$/.test(file) ? readRows(file) : readText(file)));
  },

  requests(item, answers, context) {
    if (answers.length > 0) return [];
    return item.parts.map((part): TaskRequest => {
      if ("text" in part) return { kind: "text", text: part.text, ...overlap(context) };
      return { kind: "score", prompt: part.prompt, continuations: [part.answer] };
    });
  },

  grade(item, answers) {
    let [logp, tokens, bytes] = [0, 0, 0];
    item.parts.forEach((part, i) => {
      const found = numbersOf(answers, i);
      logp += found.logp;
      tokens += found.tokens;
      bytes += Buffer.byteLength("text" in part ? part.text : part.answer);
    });
    return {
      verdict: tokens > 0 ? "right" : "failed",
      score: Math.exp(-logp / tokens),
      extracted: `${(-logp / tokens).toFixed(4)} nats per token`,
      values: { logp, tokens, bytes },
      ...(tokens > 0 ? {} : { note: "no token to score" }),
    };
  },

  score: (graded) => Math.exp(-total(graded, "logp") / total(graded, "tokens")),
  metrics: (graded) => ({
    "nats per token": -total(graded, "logp") / total(graded, "tokens"),
    "bits per byte": -total(graded, "logp") / Math.LN2 / total(graded, "bytes"),
    tokens: total(graded, "tokens"),
  }),
};

function overlap({ settings }: TaskContext): { overlap?: number } {
  return settings.overlap === undefined ? {} : { overlap: Number(settings.overlap) };
}

function numbersOf(answers: readonly Answer[], index: number): { logp: number; tokens: number } {
  if (answers[index]?.kind === "text") return answerAt(answers, index, "text");
  return answerAt(answers, index, "score").scores[0]!;
}

function total(graded: readonly Graded[], name: string): number {
  let sum = 0;
  for (const { values } of graded) sum += values[name] ?? 0;
  return sum;
}

// -------------------------------------------------------------------------------------------------------- files

function readText(file: string): PerplexityItem[] {
  const text = readPlain(file);
  const pieces: PerplexityItem[] = [];
  for (let at = 0; at < text.length; ) {
    const lineEnd = text.indexOf("\n", at + PIECE);
    const end = lineEnd < 0 ? text.length : lineEnd + 1;
    pieces.push({
      id: `${basename(file)}/${pieces.length}`,
      group: basename(file),
      parts: [{ text: text.slice(at, end) }],
    });
    at = end;
  }
  if (pieces.length > 0) return pieces;
  throw new DataError("ERR_NO_ROWS", "the file is empty.", { where: file, fix: "give a file with text." });
}

/** JSON lines: `text` is scored whole, `messages` by their answers. */
function readRows(file: string): PerplexityItem[] {
  const items: PerplexityItem[] = [];
  for (const [index, line] of readPlain(file).split("\n").entries()) {
    if (line.trim() === "") continue;
    const where = `${file} line ${index + 1}`;
    items.push({
      id: `${basename(file)}/${index + 1}`,
      group: basename(file),
      parts: partsOf(parseLine(line, where), file, index + 1),
    });
  }
  if (items.length > 0) return items;
  throw new DataError("ERR_NO_ROWS", "the file holds no rows.", {
    where: file,
    fix: "write one JSON object a line.",
  });
}

function partsOf(row: Record<string, unknown>, file: string, line: number): PerplexityItem["parts"] {
  if (typeof row.text === "string") return [{ text: row.text }];
  const { messages } = parseConversation(
    row,
    { file, line, unit: "line" },
    { dataset: "file", id: String(line) },
  );
  return messages.flatMap(({ role, content }, i) =>
    role === "assistant" ? [{ prompt: { messages: messages.slice(0, i) }, answer: content.trim() }] : [],
  );
}

function parseLine(line: string, where: string): Record<string, unknown> {
  try {
    const row: unknown = JSON.parse(line);
    if (typeof row === "object" && row !== null) return row as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new DataError("ERR_ROW_SHAPE", "the line is not a JSON object.", {
    where,
    fix: 'a row has "text", or "messages".',
  });
}

function readPlain(file: string): string {
  try {
    const bytes = readFileSync(file);
    return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString("utf8");
  } catch (cause) {
    throw new DataError("ERR_EVAL_DATA_MISSING", `the file cannot be read: ${(cause as Error).message}.`, {
      where: file,
      fix: "check the path.",
      cause,
    });
  }
}
