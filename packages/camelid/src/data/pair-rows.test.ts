import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sharedData } from "../../../../tests/shared-data.js";
import { byteLevelTokenizer } from "../../../../tests/tokenizers.js";
import type { DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { trainedTokens } from "./collate.js";
import type { Role } from "./conversation.js";
import { readPairRows } from "./pair-rows.js";
import { readPreferences } from "./read-preferences.js";
import { IGNORE_INDEX } from "./render.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-pairs-"));
afterAll(() => rmSync(folder, { recursive: true }));
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await byteLevelTokenizer();
});

let files = 0;
function fileOf(...rows: unknown[]): string {
  const path = join(folder, `pairs-${files++}.jsonl`);
  writeFileSync(path, rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join(""));
  return path;
}
const say = (role: Role, content: string) => ({ role, content });
const colour = say("user", "Name a colour");
const pair = (chosen: string, rejected: string) => ({
  prompt: "Name a colour",
  chosen: [colour, say("assistant", chosen)],
  rejected: [colour, say("assistant", rejected)],
});
const decode = (ids: ArrayLike<number>) => tokenizer.decode(ids, { skipSpecialTokens: false });
const trainedText = ({ inputIds, labels }: { inputIds: Int32Array; labels: Int32Array }) =>
  decode(inputIds.filter((_, at) => labels[at] !== IGNORE_INDEX));
const failure = (promise: Promise<unknown>): Promise<DataError> =>
  promise.then(
    () => expect.fail("no error"),
    (error) => error,
  );

describe("reading preferences", () => {
  test("every published shape becomes the same pair", async () => {
    const blue = say("assistant", "Blue is one.");
    const no = say("assistant", "no");
    const shapes = [
      pair("Blue is one.", "no"),
      { prompt: [colour], chosen: [blue], rejected: [no] },
      { prompt: "Name a colour", chosen: "Blue is one.", rejected: "no" },
      {
        chosen: "\n\nHuman: Name a colour\n\nAssistant: Blue is one.",
        rejected: "\n\nHuman: Name a colour\n\nAssistant: no",
      },
      {
        conversations: [{ from: "human", value: "Name a colour" }],
        chosen: { from: "gpt", value: "Blue is one." },
        rejected: { from: "gpt", value: "no" },
      },
    ];
    const { rows } = await readPreferences(fileOf(...shapes));
    for (const { chosen, rejected } of rows) {
      expect({ chosen, rejected }).toEqual({ chosen: [colour, blue], rejected: [colour, no] });
    }
    expect(rows.map(({ origin }) => origin.line)).toEqual([1, 2, 3, 4, 5]);
  });

  test("keeps dataset and id where the row has them", async () => {
    const { rows } = await readPreferences(
      fileOf({ ...pair("a", "b"), dataset: "valley", id: 7 }, pair("a", "b")),
    );
    expect(rows.map(({ dataset, id }) => [dataset, id])).toEqual([
      ["valley", "7"],
      [expect.stringMatching(/^pairs-\d+$/), expect.stringMatching(/^pairs-\d+_1$/)],
    ]);
  });

  const bad = {
    ERR_PAIR_IDENTICAL: pair("blue", " blue "),
    ERR_PAIR_PROMPT: { ...pair("a", "b"), rejected: [say("user", "Other"), say("assistant", "b")] },
    ERR_PAIR_EMPTY: pair("a", "  "),
    ERR_PAIR_NO_ANSWER: { chosen: [colour], rejected: [colour] },
    ERR_CHAT_ROLE_ORDER: {
      chosen: [colour, colour, say("assistant", "a")],
      rejected: [colour, colour, say("assistant", "b")],
    },
    ERR_DATA_ROW_SHAPE: { ...pair("a", "b"), chosen: 7 },
    ERR_DATA_COLUMNS: { messages: [colour, say("assistant", "a")] },
    ERR_JSON: '{"chosen": ',
  };
  test.each(Object.entries(bad))(
    "%s names the line, and skipping leaves only that row out",
    async (code, row) => {
      const file = fileOf(pair("a", "b"), row, pair("c", "d"));
      const error = await failure(readPreferences(file));
      expect(error.code).toBe(code);
      expect(error.where).toContain("line 2");
      const { rows, skipped } = await readPreferences(file, { onBad: "skip" });
      expect(rows.map(({ origin }) => origin.line)).toEqual([1, 3]);
      expect(skipped.map((one) => one.code)).toEqual([code]);
    },
  );

  test("a file without a usable pair is an error that shows the first problem", async () => {
    const error = await failure(readPreferences(fileOf(pair("a", "a")), { onBad: "skip" }));
    expect(error.code).toBe("ERR_NO_ROWS");
    expect(error.fix).toContain("are the same");
  });
});

describe("pairs of token rows", () => {
  test("train the last answer with its end token, and share every token before it", async () => {
    const before = [colour, say("assistant", "Red."), say("user", "Another")];
    const row = {
      chosen: [...before, say("assistant", "Blue is one.")],
      rejected: [...before, say("assistant", "no")],
    };
    const { pairs, account } = await readPairRows(fileOf(row), tokenizer, { onBad: "error", maxSeqLen: 512 });
    const { chosen, rejected, promptTokens } = pairs[0]!;
    expect(trainedText(chosen)).toBe("Blue is one.</s>");
    expect(trainedText(rejected)).toBe("no</s>");
    const prompt = chosen.inputIds.subarray(0, promptTokens);
    expect(rejected.inputIds.subarray(0, promptTokens)).toEqual(prompt);
    expect(decode(prompt)).toMatch(/Red\..*Another.*<\|assistant\|>\n$/s);
    expect(account).toEqual([
      {
        source: expect.any(String),
        pairs: 1,
        promptTokens,
        chosenTokens: trainedTokens(chosen),
        rejectedTokens: trainedTokens(rejected),
        cut: 0,
      },
    ]);
  });

  test("are cut on the right as long as both sides keep something to train", async () => {
    const file = fileOf(pair(`yes ${"blue ".repeat(60)}`, "no"), pair("a", "b"));
    const whole = await readPairRows(file, tokenizer, { onBad: "error" });
    const length = whole.pairs[0]!.promptTokens + 20;
    const { pairs, account } = await readPairRows(file, tokenizer, { onBad: "error", maxSeqLen: length });
    expect(pairs[0]!.chosen.inputIds).toEqual(whole.pairs[0]!.chosen.inputIds.slice(0, length));
    expect(pairs[0]!.rejected).toEqual(whole.pairs[0]!.rejected);
    expect(trainedTokens(pairs[0]!.chosen)).toBe(20);
    expect(account[0]!.cut).toBe(1);
  });

  test("of which cutting takes an answer, or the difference, are all listed; or left out", async () => {
    const long = say("user", "Name a colour. ".repeat(40));
    const lost = { chosen: [long, say("assistant", "a")], rejected: [long, say("assistant", "b")] };
    const same = pair(`${"blue ".repeat(60)}1`, `${"blue ".repeat(60)}2`);
    const file = fileOf(pair("a", "b"), lost, same);
    const error = await failure(readPairRows(file, tokenizer, { onBad: "error", maxSeqLen: 64 }));
    expect(error.code).toBe("ERR_PAIR_CUT");
    expect(error.message).toContain("2 pairs");
    expect(error.where).toMatch(/line 2: .*an answer is lost.*line 3: .*the two sides are the same/s);
    const { pairs, skipped } = await readPairRows(file, tokenizer, { onBad: "skip", maxSeqLen: 64 });
    expect(pairs.map(({ place }) => place)).toEqual([0]);
    expect(skipped.map(({ code }) => code)).toEqual(["ERR_PAIR_CUT", "ERR_PAIR_CUT"]);
  });

  test("have a fingerprint that changes with either side", async () => {
    const sha256 = async (...rows: unknown[]) =>
      (
        await readPairRows(
          fileOf(...rows.map((row) => ({ ...(row as object), id: 1, dataset: "d" }))),
          tokenizer,
          { onBad: "error" },
        )
      ).fingerprint.sha256;
    const first = await sha256(pair("a", "b"));
    expect(await sha256(pair("a", "b"))).toBe(first);
    expect(await sha256(pair("a", "c"))).not.toBe(first);
    expect(await sha256(pair("c", "b"))).not.toBe(first);
  });
});

const real = sharedData();
describe.skipIf(real === undefined)("real preference files", () => {
  test.each([
    ["ultrafeedback/train_clean.jsonl.gz", 900],
    ["dpo_demo/dpo_en_demo.json.gz", 269],
    ["hh_rlhf/harmless-base/test.jsonl.gz", 2051],
  ])("%s: every row is a pair or has its reason", async (file, count) => {
    const { pairs, skipped } = await readPairRows(join(real!, file), tokenizer, { onBad: "skip" });
    expect(pairs.length + skipped.length).toBe(count);
    expect(skipped.length).toBeLessThan(0.02 * count);
    for (const { chosen, rejected, promptTokens } of pairs) {
      expect(Math.min(trainedTokens(chosen), trainedTokens(rejected))).toBeGreaterThan(1);
      expect(chosen.inputIds.subarray(0, promptTokens)).toEqual(rejected.inputIds.subarray(0, promptTokens));
    }
  });
});
