import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { sharedData } from "../../../../../tests/shared-data.js";
import { BENCHMARKS, parseCsv, readBenchmarkTexts } from "./benchmark-texts.js";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function dataFolder(files: Record<string, string | Buffer>): string {
  const folder = mkdtempSync(join(tmpdir(), "benchmark-texts-"));
  folders.push(folder);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

describe("CSV", () => {
  it("reads quotes, commas and line breaks inside fields, empty fields and a byte order mark", () => {
    expect(parseCsv('\ufeffa,"b, ""c""\nd",\r\n,,"x"\n"",last')).toEqual([
      ["a", 'b, "c"\nd', ""],
      ["", "", "x"],
      ["", "last"],
    ]);
    expect(parseCsv("a,b,")).toEqual([["a", "b", ""]]);
    expect(parseCsv("")).toEqual([]);
  });

  it("names the line of a quote that is never closed or stands inside a field", () => {
    for (const text of ['a,b\nc,"d\ne', 'a\nb"c,d', 'a\n"b"c']) {
      expect(() => parseCsv(text)).toThrow(
        expect.objectContaining({ code: "ERR_CSV", where: expect.stringMatching(/^line 2/) }),
      );
    }
  });
});

describe("benchmark texts", () => {
  it("are read plain or gzipped, and absent benchmarks are listed", () => {
    const line = (question: string) => `${JSON.stringify({ question, answer: "#### 1" })}\n`;
    const folder = dataFolder({
      "gsm8k/test.jsonl.gz": gzipSync(line("How many?") + line("How much?")),
      "toxigen/prompts/neutral_x_1k.txt": "- one statement\\n- another\\n-\n",
      "mt_bench/data/mt_bench/question.jsonl": '{"question_id":81,"turns":["Write.","Rewrite."]}\n',
    });
    const { texts, missing } = readBenchmarkTexts(folder);
    expect(texts).toEqual([
      { benchmark: "gsm8k", id: "test_0", text: "How many?" },
      { benchmark: "gsm8k", id: "test_1", text: "How much?" },
      { benchmark: "mt_bench", id: "81.1", text: "Write." },
      { benchmark: "mt_bench", id: "81.2", text: "Rewrite." },
      { benchmark: "toxigen", id: "neutral_x_1k_0.0", text: "- one statement" },
      { benchmark: "toxigen", id: "neutral_x_1k_0.1", text: "- another" },
      { benchmark: "toxigen", id: "neutral_x_1k_0.2", text: "-" },
    ]);
    expect(missing).toEqual(BENCHMARKS.filter((name) => !["gsm8k", "toxigen", "mt_bench"].includes(name)));
  });

  it("take an MMLU question with its options only where it is too general alone", () => {
    const folder = dataFolder({
      "mmlu/data/test/anatomy_test.csv": [
        "Which of these is true?,one,two,three,four,A",
        '"What structure, in the human body, collects urine first?",Bladder,Kidney,Ureter,Urethra,A',
      ].join("\n"),
    });
    expect(readBenchmarkTexts(folder, ["mmlu"]).texts.map(({ id, text }) => [id, text])).toEqual([
      ["anatomy_0", "Which of these is true?\none\ntwo\nthree\nfour"],
      ["anatomy_1", "What structure, in the human body, collects urine first?"],
    ]);
  });

  it("report unknown names, missing files and damaged ones", () => {
    expect(() => readBenchmarkTexts("nowhere", ["gsm9k"])).toThrow(/"gsm9k"/);
    expect(() => readBenchmarkTexts(dataFolder({}), ["gsm8k"])).toThrow(/not there/);
    expect(() => readBenchmarkTexts(dataFolder({ "gsm8k/test.jsonl": "{oops\n" }))).toThrow(/broken JSON/);
    expect(() => readBenchmarkTexts(dataFolder({ "gsm8k/test.jsonl.gz": "no gzip" }))).toThrow(/damaged/);
    expect(() => readBenchmarkTexts(dataFolder({ "bbh/readme.md": "" }))).toThrow(
      /no files that end in .json/,
    );
    expect(() => readBenchmarkTexts(dataFolder({ "truthfulqa/data/v1/TruthfulQA.csv": "Type,Q\n" }))).toThrow(
      /"Question"/,
    );
  });

  it("are as many as the data folder's description says", ({ skip }) => {
    const folder = sharedData();
    if (folder === undefined) return skip("shared data is not here");
    const count = (name: string) => readBenchmarkTexts(folder, [name]).texts.length;
    expect(Object.fromEntries(BENCHMARKS.map((name) => [name, count(name)]))).toMatchObject({
      ...{ gsm8k: 1187, mmlu: 13_442, bbh: 5261, truthfulqa: 736 + 712, tydiqa: 4570 },
      ...{ human_eval: 164, alpaca_eval: 805, mt_bench: 160 },
    });
  });
});
