/**
 * The judge of the miniature: a server on this machine that speaks OpenAI's API and decides by fixed rules, because it knows what was
 * asked and what is right. It stands where a model judges in a real experiment; what it says is worth nothing outside the valley.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { JUDGE_MARKS } from "../../demo/miniature/benchmarks.js";
import type { Judged } from "../../demo/miniature/questions.js";
import { type Expectation, judge, manners } from "../../demo/scoring.js";

export interface HouseJudge extends AsyncDisposable {
  /** Base URL; `URL#house` names the judge. */
  readonly url: string;
}

export async function openHouseJudge(judged: readonly Judged[]): Promise<HouseJudge> {
  const known = new Map(judged.map(({ question, expected }) => [question, expected]));
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      const { status, reply } = answer(body, known);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(reply));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    [Symbol.asyncDispose]: () => closed(server),
  };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

interface Body {
  prompt?: unknown;
  messages?: { content?: unknown }[];
}

function answer(body: string, known: ReadonlyMap<string, Expectation>): { status: number; reply: object } {
  let asked: Body;
  try {
    asked = JSON.parse(body) as Body;
  } catch {
    return { status: 400, reply: { error: { message: "the body is not JSON" } } };
  }
  const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  if (typeof asked.prompt === "string") {
    const text = yesOrNo(asked.prompt, known);
    return { status: 200, reply: { choices: [{ index: 0, text, finish_reason: "stop" }], usage } };
  }
  const content = verdict(String(asked.messages?.at(-1)?.content ?? ""), known);
  const message = { role: "assistant", content };
  return { status: 200, reply: { choices: [{ index: 0, message, finish_reason: "stop" }], usage } };
}

/** A ranking of two answers, or a rating of one. */
export function verdict(prompt: string, known: ReadonlyMap<string, Expectation>): string {
  const { asked, first, second, answer: said, end } = JUDGE_MARKS;
  const between = (from: string, to: string): string | undefined => {
    const start = prompt.indexOf(`${from}\n`);
    const stop = prompt.indexOf(`\n${to}`, start);
    return start < 0 || stop < 0 ? undefined : prompt.slice(start + from.length + 1, stop);
  };
  const [one, two] = [between(first, second), between(second, end)];
  if (one !== undefined && two !== undefined) {
    const expected = known.get(between(asked, first) ?? "");
    const better = worth(two, expected) > worth(one, expected) ? 2 : 1;
    return `[{'model': 'model_1', 'rank': ${better}}, {'model': 'model_2', 'rank': ${3 - better}}]`;
  }
  const text = between(said, end);
  const expected = known.get(between(asked, said) ?? "");
  return text === undefined ? "I see nothing to judge." : `Rating: [[${1 + worth(text, expected)}]]`;
}

/** 0 to 9: right is worth most, then courtesy; what nobody knows the answer to is judged by courtesy alone. */
function worth(text: string, expected: Expectation | undefined): number {
  const right = expected !== undefined && judge(expected, text, "stop").correct;
  return (right ? 6 : 0) + (manners(text).polite ? 3 : 0);
}

/** TruthfulQA's two judges: nothing false is said; something is said about what was asked. */
export function yesOrNo(prompt: string, known: ReadonlyMap<string, Expectation>): string {
  const [, question = "", text = "", label] =
    /^Q: ([\s\S]*?)\nA: ([\s\S]*)\n(True|Helpful):$/.exec(prompt) ?? [];
  const expected = known.get(question);
  if (expected === undefined) return " no";
  // Any length will do, and no text is right because it is letter for letter the expected one.
  const answer = `${text} and more`;
  const fault = (wanted: Partial<Expectation>) =>
    judge({ answer, includes: [], excludes: [], strict: false, ...wanted }, text, "stop").reason;
  const says = (phrase: string) => !["missing", "empty"].includes(fault({ includes: [phrase] }));
  const yes =
    label === "True"
      ? fault({ excludes: expected.excludes }) !== "contradicts itself"
      : [...expected.includes, ...expected.excludes].some(says);
  return yes ? " yes" : " no";
}
