/**
 * The texts of evaluation sets that must not be trained on: what a benchmark shows the model, without its answers.
 *
 * Read from a data folder in the layout that the original evaluation suite uses, files as published or gzipped. Per
 * benchmark one rule, below; `id` leads back to the item.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { DataError, SettingsError } from "../../errors.js";
import type { BenchmarkText } from "./decontaminate.js";

/** Reads the items of one benchmark below the data folder. */
type Reader = (files: BenchmarkFiles) => Iterable<Omit<BenchmarkText, "benchmark">>;

/** Name -> reader; the name is also the folder's. */
const READERS: Readonly<Record<string, Reader>> = {
  /** Questions of the test split. */
  *gsm8k(files) {
    for (const [i, { question }] of files.jsonLines<{ question: string }>("test.jsonl").entries()) {
      yield { id: `test_${i}`, text: question };
    }
  },

  /**
   * Questions of the test split. Their options are left out, since their layout differs from one training set to the
   * next, except where the question alone is too general to tell ("Which of these is true?").
   */
  *mmlu(files) {
    for (const name of files.list("data/test", ".csv")) {
      const subject = name.replace(/_test\.csv$/, "");
      for (const [i, [question = "", ...options]] of parseCsv(files.text(`data/test/${name}`)).entries()) {
        const general = question.split(/\s+/).length < 8;
        yield {
          id: `${subject}_${i}`,
          text: general ? [question, ...options.slice(0, 4)].join("\n") : question,
        };
      }
    }
  },

  *bbh(files) {
    for (const name of files.list("bbh", ".json")) {
      const { examples } = files.json<{ examples: { input: string }[] }>(`bbh/${name}`);
      const task = name.replace(/\.json$/, "");
      for (const [i, { input }] of examples.entries()) yield { id: `${task}_${i}`, text: input };
    }
  },

  /** Questions of the 817-question version and of the revised one where it is there; most are the same. */
  *truthfulqa(files) {
    for (const [version, path] of [
      ["v1", "data/v1/TruthfulQA.csv"],
      ["v2", "TruthfulQA.csv"],
    ] as const) {
      if (version === "v2" && !files.has(path)) continue;
      const [header = [], ...rows] = parseCsv(files.text(path));
      const column = header.indexOf("Question");
      if (column < 0) throw files.error(path, `no column "Question" among ${header.join(", ")}`);
      for (const [i, row] of rows.entries()) yield { id: `${version}_${i}`, text: row[column] ?? "" };
    }
  },

  /** Questions of the dev split, all languages; the passages are public Wikipedia text. */
  *tydiqa(files) {
    const path = "tydiqa-goldp-v1.1-dev.json";
    type Squad = { data: { paragraphs: { qas: { id: string; question: string }[] }[] }[] };
    for (const { paragraphs } of files.json<Squad>(path).data) {
      for (const { qas } of paragraphs) for (const { id, question } of qas) yield { id, text: question };
    }
  },

  /** Prompts: signature and docstring. */
  *human_eval(files) {
    for (const item of files.jsonLines<{ task_id: string; prompt: string }>("HumanEval.jsonl")) {
      yield { id: item.task_id, text: item.prompt };
    }
  },

  /** Task texts of the test split (task_id 11 to 510), in the original and the sanitized wording. */
  *mbpp(files) {
    const inTest = (id: number) => id >= 11 && id <= 510;
    for (const item of files.jsonLines<{ task_id: number; text: string }>("mbpp.jsonl")) {
      if (inTest(item.task_id)) yield { id: `mbpp_${item.task_id}`, text: item.text };
    }
    if (!files.has("sanitized-mbpp.json")) return;
    for (const item of files.json<{ task_id: number; prompt: string }[]>("sanitized-mbpp.json")) {
      if (inTest(item.task_id)) yield { id: `sanitized_${item.task_id}`, text: item.prompt };
    }
  },

  /** Instructions, from the published outputs of the reference model: they repeat the evaluation set in order. */
  *alpaca_eval(files) {
    const outputs = files.json<{ dataset: string; instruction: string }[]>(
      "results/text_davinci_003/model_outputs.json",
    );
    for (const [i, { dataset, instruction }] of outputs.entries())
      yield { id: `${dataset}_${i}`, text: instruction };
  },

  /** Both turns of each question. */
  *mt_bench(files) {
    const path = "data/mt_bench/question.jsonl";
    for (const { question_id, turns } of files.jsonLines<{ question_id: number; turns: string[] }>(path)) {
      for (const [turn, text] of turns.entries()) yield { id: `${question_id}.${turn + 1}`, text };
    }
  },

  /** The statements that prompts are lists of, each once: 27,000 prompts permute the same few hundred. */
  *toxigen(files) {
    const seen = new Set<string>();
    for (const name of files.list("prompts", ".txt")) {
      const group = name.replace(/\.txt$/, "");
      for (const [i, line] of files.text(`prompts/${name}`).split("\n").entries()) {
        for (const [j, statement] of line.split("\\n").entries()) {
          if (statement.trim() === "" || seen.has(statement)) continue;
          seen.add(statement);
          yield { id: `${group}_${i}.${j}`, text: statement };
        }
      }
    }
  },
};

export const BENCHMARKS: readonly string[] = Object.keys(READERS);

/**
 * Texts of the benchmarks under `folder`, each in a folder of its name.
 * @param names  which ones; all that are there when left out, and then `missing` says which are not
 * @throws {SettingsError} for an unknown name, {DataError} when a file is missing or not what it should be
 */
export function readBenchmarkTexts(
  folder: string,
  names?: readonly string[],
): { texts: BenchmarkText[]; missing: string[] } {
  const unknown = names?.find((name) => !Object.hasOwn(READERS, name));
  if (unknown !== undefined) {
    throw new SettingsError(
      "ERR_BENCHMARK_UNKNOWN",
      `there is no benchmark called ${JSON.stringify(unknown)}.`,
      {
        fix: `known ones: ${BENCHMARKS.join(", ")}.`,
      },
    );
  }
  const texts: BenchmarkText[] = [];
  const missing: string[] = [];
  for (const benchmark of names ?? BENCHMARKS) {
    const files = new BenchmarkFiles(join(folder, benchmark));
    if (names === undefined && !existsSync(files.folder)) missing.push(benchmark);
    else for (const { id, text } of READERS[benchmark]!(files)) texts.push({ benchmark, id, text });
  }
  return { texts, missing };
}

/** Files of one benchmark by their published names, whether gzipped or not. */
class BenchmarkFiles {
  constructor(readonly folder: string) {}

  has(path: string): boolean {
    return existsSync(join(this.folder, path)) || existsSync(join(this.folder, `${path}.gz`));
  }

  /** Published names in a folder with this ending, sorted. */
  list(path: string, ending: string): string[] {
    const folder = join(this.folder, path);
    const names = existsSync(folder) ? readdirSync(folder).map((name) => name.replace(/\.gz$/, "")) : [];
    const found = [...new Set(names)].filter((name) => name.endsWith(ending)).sort();
    if (found.length === 0) throw this.error(path, `no files that end in ${ending}`);
    return found;
  }

  text(path: string): string {
    const plain = join(this.folder, path);
    try {
      return (existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`))).toString(
        "utf8",
      );
    } catch (cause) {
      throw this.error(path, this.has(path) ? "the file is damaged" : "the file is not there", cause);
    }
  }

  json<T>(path: string): T {
    return this.parse<T>(path, this.text(path));
  }

  jsonLines<T>(path: string): T[] {
    const lines = this.text(path).split("\n");
    return lines.filter((line) => line.trim() !== "").map((line) => this.parse<T>(path, line));
  }

  error(path: string, problem: string, cause?: unknown): DataError {
    return new DataError("ERR_BENCHMARK_FILE", `benchmark texts cannot be read: ${problem}.`, {
      where: join(this.folder, path),
      fix: "put the published file there, plain or as .gz, or name the benchmarks to check without this one.",
      cause,
    });
  }

  private parse<T>(path: string, json: string): T {
    try {
      return JSON.parse(json) as T;
    } catch (cause) {
      throw this.error(path, `broken JSON near ${JSON.stringify(json.slice(0, 60))}`, cause);
    }
  }
}

/** Records of a CSV text (RFC 4180): quoted fields may hold commas, line breaks and doubled quotes. */
export function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  const field = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r?\n|$)/y;
  field.lastIndex = text.startsWith("\ufeff") ? 1 : 0;
  let record: string[] = [];
  while (field.lastIndex < text.length) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (match === null) {
      const line = text.slice(0, at).split("\n").length;
      throw new DataError("ERR_CSV", "a quote stands where CSV allows none, or is never closed.", {
        where: `line ${line}: ${JSON.stringify(text.slice(at, at + 60))}`,
        fix: "double quotes inside a quoted field, and quote fields that contain them.",
      });
    }
    const [, value = "", end] = match;
    record.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end === ",") {
      if (field.lastIndex === text.length) record.push("");
      else continue;
    }
    records.push(record);
    record = [];
  }
  return records;
}
