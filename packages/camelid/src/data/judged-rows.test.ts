import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { byteLevelTokenizer } from "../../../../tests/tokenizers.js";
import type { DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Role } from "./conversation.js";
import { balanceCheck, repeatedAnswersCheck } from "./judged-checks.js";
import { readJudgedRows } from "./judged-rows.js";
import { partnersOf } from "./mismatched-answers.js";
import { readJudged } from "./read-judged.js";
import { IGNORE_INDEX } from "./render.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-judged-"));
afterAll(() => rmSync(folder, { recursive: true }));
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await byteLevelTokenizer();
});

let files = 0;
function fileOf(...rows: unknown[]): string {
  const path = join(folder, `judged-${files++}.jsonl`);
  writeFileSync(path, rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join(""));
  return path;
}
const say = (role: Role, content: string) => ({ role, content });
const row = (prompt: string, answer: string, label: unknown) => ({
  messages: [say("user", prompt), say("assistant", answer)],
  label,
});
const failure = (promise: Promise<unknown>): Promise<DataError> =>
  promise.then(
    () => expect.fail("no error"),
    (error) => error,
  );

describe("reading judged answers", () => {
  test("conversations, prompts with completions, and pairs say the same", async () => {
    const { rows } = await readJudged(
      fileOf(
        row("Name a colour", "Blue.", true),
        { prompt: "Name a colour", completion: "Blue.", label: true },
        {
          prompt: [say("user", "Name a colour")],
          completion: [say("assistant", "Blue.")],
          label: true,
          id: 7,
        },
        { prompt: "Name a colour", chosen: "Blue.", rejected: "no", id: "p" },
      ),
    );
    const colour = say("user", "Name a colour");
    expect(
      rows.map(({ id, desirable, origin }) => [id.replace(/^judged-\d+/, "f"), desirable, origin.line]),
    ).toEqual([
      ["f_0", true, 1],
      ["f_1", true, 2],
      ["7", true, 3],
      ["p chosen", true, 4],
      ["p rejected", false, 4],
    ]);
    for (const { messages } of rows.slice(0, 4))
      expect(messages).toEqual([colour, say("assistant", "Blue.")]);
    expect(rows[4]!.messages).toEqual([colour, say("assistant", "no")]);
  });

  const bad = {
    ERR_LABEL: row("a", "b", "good"),
    ERR_CHAT_NO_ANSWER: { messages: [say("user", "a")], label: true },
    ERR_NO_TRAINED_TOKEN: {
      messages: [say("user", "a"), say("assistant", "b"), say("user", "c")],
      label: true,
    },
    ERR_ANSWER_EMPTY: row("a", " ", true),
    ERR_PAIR_IDENTICAL: { prompt: "a", chosen: "b", rejected: "b" },
    ERR_PAIR_PROMPT: {
      chosen: [say("user", "a"), say("assistant", "b")],
      rejected: [say("user", "c"), say("assistant", "d")],
    },
    ERR_PAIR_EMPTY: { prompt: "a", chosen: "b", rejected: "" },
    ERR_CHAT_ROLE_ORDER: { messages: [say("assistant", "a"), say("assistant", "b")], label: true },
    ERR_DATA_COLUMNS: { text: "a", label: true },
    ERR_JSON: '{"label": ',
  };
  test.each(Object.entries(bad))(
    "%s names the line, and skipping leaves only that row out",
    async (code, wrong) => {
      const file = fileOf(row("a", "b", true), wrong, row("c", "d", false));
      const error = await failure(readJudged(file));
      expect(error.code).toBe(code);
      expect(error.where).toContain("line 2");
      const { rows, skipped } = await readJudged(file, { onBad: "skip" });
      expect(rows.map(({ origin }) => origin.line)).toEqual([1, 3]);
      expect(skipped.map((one) => one.code)).toEqual([code]);
    },
  );

  test("a row without a label is told what a row looks like", async () => {
    const error = await failure(readJudged(fileOf({ messages: [say("user", "a"), say("assistant", "b")] })));
    expect(error.message).toContain("missing");
    expect(error.fix).toContain('"label": true');
  });
});

describe("answers to other prompts", () => {
  test("every answer is used once and nobody meets their own prompt", () => {
    const prompts = ["c", "a", "a", "b", "c", "a", "d", "e", "e"];
    const partners = partnersOf(prompts, "f");
    expect([...partners].sort((a, b) => a - b)).toEqual([...prompts.keys()]);
    partners.forEach((partner, i) => {
      expect(prompts[partner]).not.toBe(prompts[i]);
    });
    expect(partnersOf(["a", "a", "b", "b"], "f")).toEqual([2, 3, 0, 1]);
  });

  test("a prompt that most rows have is an error", async () => {
    expect(() => partnersOf(["a", "a", "b"], "f")).toThrow(/2 of 3 rows have the same prompt/);
    const error = await failure(
      readJudgedRows(fileOf({ prompt: "a", chosen: "b", rejected: "c" }), tokenizer, { onBad: "error" }),
    );
    expect(error.code).toBe("ERR_KTO_PROMPTS");
  });

  test("a row holds its own answer and, after the same prompt, its partner's, with the answer's labels", async () => {
    const file = fileOf(row("Name a colour", "Blue.", true), row("Count", "One two.", false));
    const { pairs } = await readJudgedRows(file, tokenizer, { onBad: "error" });
    const [first, second] = [pairs[0]!, pairs[1]!];
    const answer = ({ inputIds, labels }: { inputIds: Int32Array; labels: Int32Array }) =>
      tokenizer.decode(
        inputIds.filter((_, at) => labels[at] !== IGNORE_INDEX),
        { skipSpecialTokens: false },
      );
    expect(pairs.map(({ chosen }) => answer(chosen))).toEqual(["Blue.</s>", "One two.</s>"]);
    expect(pairs.map(({ rejected }) => answer(rejected))).toEqual(["One two.</s>", "Blue.</s>"]);
    expect(pairs.map(({ desirable }) => desirable)).toEqual([true, false]);
    for (const { chosen, rejected, promptTokens } of [first, second]) {
      expect(rejected.inputIds.subarray(0, promptTokens)).toEqual(chosen.inputIds.subarray(0, promptTokens));
      expect(rejected.labels.subarray(0, promptTokens).every((label) => label === IGNORE_INDEX)).toBe(true);
    }
  });

  test("both are cut at maxSeqLen, and an answer of which nothing is left is an error or left out", async () => {
    const file = fileOf(
      row("a", "b".repeat(300), true),
      row("cd", "d", false),
      row("e".repeat(90), "f", true),
    );
    const uncut = await readJudgedRows(file, tokenizer, { onBad: "error" });
    const limit = uncut.pairs[1]!.chosen.inputIds.length + 5;
    const error = await failure(readJudgedRows(file, tokenizer, { onBad: "error", maxSeqLen: limit }));
    expect([error.code, error.where]).toEqual(["ERR_ANSWER_CUT", expect.stringContaining("line 3")]);
    const { pairs, skipped, desirableCut, account } = await readJudgedRows(file, tokenizer, {
      ...{ onBad: "skip", maxSeqLen: limit },
    });
    expect(skipped).toHaveLength(1);
    expect(pairs).toHaveLength(2);
    for (const { chosen, rejected } of pairs) {
      expect(chosen.inputIds.length).toBeLessThanOrEqual(limit);
      expect(rejected.inputIds.length).toBeLessThanOrEqual(limit);
    }
    expect(pairs[1]!.rejected.inputIds).toHaveLength(limit);
    expect(desirableCut).toEqual([expect.stringContaining("line 1")]);
    expect(account[0]).toMatchObject({ desirable: 1, undesirable: 1, cut: 1 });
  });

  test("another judgement is other data", async () => {
    const hashOf = async (label: boolean) => {
      const path = join(folder, "same.jsonl");
      const rows = [row("a", "b", label), row("c", "d", false)];
      writeFileSync(path, rows.map((one) => `${JSON.stringify(one)}\n`).join(""));
      return (await readJudgedRows(path, tokenizer, { onBad: "error" })).fingerprint.sha256;
    };
    const liked = await hashOf(true);
    expect(await hashOf(false)).not.toBe(liked);
    expect(await hashOf(true)).toBe(liked);
  });
});

describe("checks", () => {
  const account = (desirable: number, undesirable: number) => ({
    ...{ source: "s", desirable, undesirable },
    ...{ promptTokens: 1, desirableTokens: 1, undesirableTokens: 1, cut: 0 },
  });

  test.each([
    [100, 100, 1, 1, "ok"],
    [300, 100, 1, 1, "warn"],
    [300, 100, 1, 3, "ok"],
    [133, 100, 1, 1, "ok"],
    [100, 300, 1, 1, "warn"],
    [5, 0, 1, 1, "warn"],
  ])(
    "%i desirable, %i undesirable, weights %f and %f: %s",
    (good, bad, desirableWeight, undesirableWeight, status) => {
      expect(balanceCheck([account(good, bad)], { desirableWeight, undesirableWeight }).status).toBe(status);
    },
  );

  test("the weight that a warning names brings the balance", () => {
    const { fix } = balanceCheck([account(90, 300)], { desirableWeight: 1, undesirableWeight: 1 });
    const weight = Number(/--desirable-weight (\d+\.\d+)/.exec(fix!)![1]);
    expect(balanceCheck([account(90, 300)], { desirableWeight: weight, undesirableWeight: 1 }).status).toBe(
      "ok",
    );
  });

  test("an answer judged both ways is named", async () => {
    const file = fileOf(row("a", "b", true), row("a", "b", false), row("c", "d", true), row("e", "f", true));
    const { pairs } = await readJudgedRows(file, tokenizer, { onBad: "error" });
    const { status, detail } = repeatedAnswersCheck(pairs);
    expect(status).toBe("warn");
    expect(detail).toMatch(/1 answers are judged both ways: judged-\d+_0 and judged-\d+_1/);
    expect(repeatedAnswersCheck(pairs.slice(1)).status).toBe("ok");
  });
});
