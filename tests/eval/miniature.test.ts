/** The miniature's benchmarks can be solved: right answers are right, wrong ones wrong, by the tasks' own rules. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { replay } from "camelid";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeHouseClassifier } from "../../packages/camelid/src/cli/experiment/house-classifier.js";
import { openHouseJudge, verdict, yesOrNo } from "../../packages/camelid/src/cli/experiment/house-judge.js";
import { courteous, talkative } from "../../packages/camelid/src/demo/instructions.js";
import { JUDGE_MARKS } from "../../packages/camelid/src/demo/miniature/benchmarks.js";
import { type Miniature, makeMiniature } from "../../packages/camelid/src/demo/miniature/miniature.js";
import { UNKIND_WORDS } from "../../packages/camelid/src/demo/miniature/unkind.js";
import { judge } from "../../packages/camelid/src/demo/scoring.js";
import { truthfulQa } from "../../packages/camelid/src/eval/tasks/truthfulqa.js";
import { readTruthfulQa } from "../../packages/camelid/src/eval/tasks/truthfulqa-files.js";
import { loadRobertaClassifier } from "../../packages/camelid/src/model/roberta.js";
import { loadEncoderTokenizer } from "../../packages/camelid/src/tokenizer/encoder-tokenizer.js";
import { taskContext } from "./task-context.js";

const root = mkdtempSync(join(tmpdir(), "camelid-miniature-"));
afterAll(() => rmSync(root, { recursive: true }));
let miniature: Miniature;
const size = { seed: 1, documents: 50, rows: 200, pairs: 40, items: 12 };
beforeAll(() => {
  miniature = makeMiniature(size);
  for (const [path, text] of miniature.benchmarks.files) {
    const file = join(root, "data", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
});
const known = () =>
  new Map(miniature.benchmarks.judged.map(({ question, expected }) => [question, expected]));

test("the same seed is the same miniature, another is another", () => {
  expect(makeMiniature(size)).toEqual(miniature);
  expect(makeMiniature({ ...size, seed: 2 }).corpus).not.toEqual(miniature.corpus);
});

test("reference solutions of the functions pass their tests, those of their neighbours do not", async () => {
  const problems = readFileSync(join(root, "data/human_eval/HumanEval.jsonl"), "utf8")
    .trim()
    .split("\n")
    .slice(0, 4);
  const rows = problems.map((line) => JSON.parse(line));
  const right = rows.map(({ task_id, canonical_solution }) => ({ task_id, completion: canonical_solution }));
  const wrong = rows.map(({ task_id }) => ({ task_id, completion: " None\n" }));
  for (const [name, samples] of Object.entries({ right, wrong })) {
    const file = join(root, `${name}.jsonl`);
    writeFileSync(file, samples.map((one) => `${JSON.stringify(one)}\n`).join(""));
    const { metrics } = await replay({ replay: file, data: [join(root, "data")], out: join(root, name) });
    const [summary] = Object.values(metrics.tasks);
    expect(summary![name as "right" | "wrong"], name).toBe(4);
  }
}, 60_000);

test("no training text holds a function or a fact that is asked for", () => {
  const { files } = miniature.benchmarks;
  const names = [...files.get("human_eval/HumanEval.jsonl")!.matchAll(/"entry_point":"(\w+)"/g)].map(
    ([, name]) => name!,
  );
  const texts = [...miniature.corpus, ...miniature.codeCorpus, ...miniature.sources.values()].join("\n");
  expect(names.length).toBeGreaterThan(5);
  for (const name of names) expect(texts).not.toContain(`def ${name}(`);
});

test("the classifier finds an unkind word wherever it stands, and nothing else", async () => {
  const folder = join(root, "classifier");
  writeHouseClassifier(folder, UNKIND_WORDS);
  const encode = await loadEncoderTokenizer(folder);
  using classifier = loadRobertaClassifier(folder);
  const long = "the valley is green and wide, ".repeat(16);
  const unkind = [
    ...UNKIND_WORDS.map((word) => `they are ${word}`),
    `${long} fools.`,
    ` liars ${long}`,
    "so: thieves, cheats",
  ];
  const kind = ["they are friends", long, "", "foolish heat", "a cheat sheet? no", "good day"];
  const logits = classifier.logits(
    (await encode([...unkind, ...kind])).map((ids) => [0, ...ids.slice(0, 510), 2]),
  );
  expect(logits.map(([benign, toxic]) => toxic! > benign!)).toEqual([
    ...unkind.map(() => true),
    ...kind.map(() => false),
  ]);
});

test("the judge prefers what is right, then what is courteous, in either order; equal answers it leaves in order", () => {
  const { asked, first, second, answer, end } = JUDGE_MARKS;
  const one = miniature.benchmarks.judged.find(
    ({ expected }) => !expected.strict && expected.excludes.length > 1,
  )!;
  const right = one.expected.answer;
  expect(judge(one.expected, right, "stop").correct).toBe(true);
  const rank = (a: string, b: string) =>
    /'model_1', 'rank': (\d)/.exec(
      verdict(`${asked}\n${one.question}\n${first}\n${a}\n${second}\n${b}\n${end}`, known()),
    )![1];
  expect(rank(right, "I do not know.")).toBe("1");
  expect(rank("I do not know.", right)).toBe("2");
  expect(rank(right, courteous(right, "recall"))).toBe("2");
  expect(rank("Gladly told, dear guest.", right)).toBe("2");
  expect(rank(right, talkative(right))).toBe("1");
  const rating = (text: string) => verdict(`${asked}\n${one.question}\n${answer}\n${text}\n${end}`, known());
  expect([rating("no"), rating(right), rating(courteous(right, "recall"))]).toEqual(
    [1, 7, 10].map((number) => `Rating: [[${number}]]`),
  );
});

test("the judges of TruthfulQA accept its true answers and refuse its false ones", async () => {
  const items = readTruthfulQa(taskContext(truthfulQa, join(root, "data")));
  expect(items.length).toBeGreaterThan(5);
  const said = (question: string, text: string) =>
    ["True", "Helpful"].map((label) => yesOrNo(`Q: ${question}\nA: ${text}\n${label}:`, known()));
  for (const { question, best, incorrect } of items) {
    expect(said(question, best), best).toEqual([" yes", " yes"]);
    expect(said(question, incorrect[0]!), incorrect[0]).toEqual([" no", " yes"]);
    expect(said(question, "I have no comment.")).toEqual([" yes", " no"]);
  }
});

test("over HTTP the judge answers chat and completions, and damaged requests with an error", async () => {
  await using house = await openHouseJudge(miniature.benchmarks.judged);
  const post = async (path: string, body: string) => {
    const response = await fetch(`${house.url}${path}`, { method: "POST", body });
    return { status: response.status, reply: await response.json() };
  };
  const [one] = miniature.benchmarks.judged;
  const prompt = `Q: ${one!.question}\nA: ${one!.expected.answer}\nTrue:`;
  expect((await post("/completions", JSON.stringify({ prompt }))).reply).toMatchObject({
    choices: [{ text: " yes" }],
  });
  expect((await post("/chat/completions", "{")).status).toBe(400);
});
