/**
 * Every parser of the project, with a file that it reads, to be given damaged ones. Weight files have their own tests
 * (`weight-files.test.ts`): they are read differently.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SafetensorsError } from "@camelid/torch";
import { expect } from "vitest";
import { z } from "zod";
import { readConversations } from "../../packages/camelid/src/data/read-conversations.js";
import { renderConversations } from "../../packages/camelid/src/data/render.js";
import { CamelidError } from "../../packages/camelid/src/errors.js";
import { readPrompts } from "../../packages/camelid/src/generate/read-prompts.js";
import { configFile, readConfig } from "../../packages/camelid/src/model/config.js";
import { runReport } from "../../packages/camelid/src/report/run-report.js";
import { readLineage } from "../../packages/camelid/src/run/lineage.js";
import { readRun } from "../../packages/camelid/src/run/read-run.js";
import { knobs, loraKnobs } from "../../packages/camelid/src/settings/knobs.js";
import { readSettingsFile } from "../../packages/camelid/src/settings/layers.js";
import { resolveSettings } from "../../packages/camelid/src/settings/resolve.js";
import { loadTokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { tuluTemplate } from "../../packages/camelid/src/tokenizer/tulu-template.js";
import { openWeights } from "../../packages/camelid/src/weights/weight-index.js";
import { writeTinyModel } from "../tiny-model.js";
import { mutate, seeded } from "./mutate.js";
import { mutateJson } from "./mutate-json.js";

export interface Parser {
  name: string;
  /** A sound file. */
  valid: Buffer;
  /** Lines of JSON, one JSON value, or other text: decides how it is damaged. */
  kind: "json" | "json-lines" | "text";
  /** Where the damaged file is put. */
  path: string;
  /** Reads the file at `path` and everything that is made of it before numbers are computed. */
  read(): unknown;
}

/** Sound files of every kind below `folder`, and who reads them. */
export async function everyParser(folder: string): Promise<Parser[]> {
  const tiny = await writeTinyModel(join(folder, "tiny"), { rows: 6 });
  const place = (name: string, file: string): string => {
    mkdirSync(join(folder, name), { recursive: true });
    return join(folder, name, file);
  };
  const model = (name: string): Buffer => readFileSync(join(tiny.model, name));
  const tokenizer = await loadTokenizer(tiny.model);

  /** The tokenizer of a folder, used for a row with everything in it. */
  const useTokenizer = async (path: string): Promise<void> => {
    const loaded = await loadTokenizer(path);
    await loaded.encode("a camel </s> é\u{1f42a}", { addSpecialTokens: true, parseSpecialTokens: true });
    const messages = [
      { role: "user" as const, content: "which <s> camel?" },
      { role: "assistant" as const, content: "this one." },
    ];
    const [row] = await renderConversations([{ dataset: "d", id: "1", messages }], loaded);
    loaded.decode(row!.inputIds);
  };
  const tokenizerFolder = (name: string): string => {
    for (const file of ["tokenizer.json", "tokenizer_config.json"])
      writeFileSync(place(name, file), model(file));
    return join(folder, name);
  };
  const runFolder = (name: string): string => {
    writeFileSync(place(name, "settings.json"), RUN_SETTINGS);
    writeFileSync(place(name, "events.jsonl"), EVENTS);
    return join(folder, name);
  };
  const [inTokenizer, inConfig, inTemplate] = ["tokenizer", "tokenizer-config", "template"].map(
    tokenizerFolder,
  ) as [string, string, string];
  const [inSettings, inEvents] = ["run-settings", "events"].map(runFolder) as [string, string];
  const llama = readConfig(tiny.model).config;
  const scaling = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  const config = { ...configFile(llama), rope_scaling: { ...scaling, original_max_position_embeddings: 64 } };
  writeFileSync(place("index", "model-1.safetensors"), model("model.safetensors"));
  const names = [...openWeights(tiny.model).entries.keys()];
  const index = {
    metadata: {},
    weight_map: Object.fromEntries(names.map((name) => [name, "model-1.safetensors"])),
  };
  const settings = z.strictObject({ ...knobs, lora: loraKnobs.nullable().default(null) });

  return [
    {
      name: "config.json",
      kind: "json",
      valid: Buffer.from(JSON.stringify(config)),
      path: place("config", "config.json"),
      read: () => readConfig(join(folder, "config")),
    },
    {
      name: "model.safetensors.index.json",
      kind: "json",
      valid: Buffer.from(JSON.stringify(index)),
      path: place("index", "model.safetensors.index.json"),
      read: () => openWeights(join(folder, "index")),
    },
    {
      name: "tokenizer.json",
      kind: "json",
      valid: model("tokenizer.json"),
      path: join(inTokenizer, "tokenizer.json"),
      read: () => useTokenizer(inTokenizer),
    },
    {
      name: "tokenizer_config.json",
      kind: "json",
      valid: model("tokenizer_config.json"),
      path: join(inConfig, "tokenizer_config.json"),
      read: () => useTokenizer(inConfig),
    },
    {
      name: "chat_template.jinja",
      kind: "text",
      // The shipped text would be recognised; with another mark it goes through the template engine.
      valid: Buffer.from(tuluTemplate({ addsBos: true }).replaceAll("<|", "<<")),
      path: join(inTemplate, "chat_template.jinja"),
      read: () => useTokenizer(inTemplate),
    },
    {
      name: "rows to train on",
      kind: "json-lines",
      valid: readFileSync(tiny.data),
      path: place("rows", "rows.jsonl"),
      read: async () => {
        const { rows } = await readConversations(join(folder, "rows", "rows.jsonl"), { onBad: "skip" });
        await renderConversations(rows, tokenizer, { maxSeqLen: 64 });
      },
    },
    {
      name: "prompts",
      kind: "json-lines",
      valid: Buffer.from('{"prompt":"a"}\n{"id":3,"messages":[{"role":"user","content":"hi"}]}\n'),
      path: place("prompts", "prompts.jsonl"),
      read: () => readPrompts(join(folder, "prompts", "prompts.jsonl")),
    },
    {
      name: "a settings file",
      kind: "text",
      valid: Buffer.from(SETTINGS),
      path: place("settings", "settings.yaml"),
      read: () =>
        resolveSettings(settings, [readSettingsFile(join(folder, "settings", "settings.yaml"))], {
          command: "sft",
        }),
    },
    {
      name: "settings.json of a run",
      kind: "json",
      valid: Buffer.from(RUN_SETTINGS),
      path: join(inSettings, "settings.json"),
      read: async () => runReport(await readRun(inSettings)),
    },
    {
      name: "events.jsonl",
      kind: "json-lines",
      valid: Buffer.from(EVENTS),
      path: join(inEvents, "events.jsonl"),
      read: async () => runReport(await readRun(inEvents)),
    },
    {
      name: "lineage",
      kind: "text",
      valid: Buffer.from(
        "# camelid lineage 1, rows of a.jsonl\n1: 4 5 6\n2: 7 8 9\n# resumed after step 1\n2: 1 2 3\n",
      ),
      path: place("lineage", "lineage"),
      read: () => readLineage(join(folder, "lineage", "lineage")),
    },
  ];
}

const SETTINGS = `# a run of mine
model: base
data: rows.jsonl
out: run
learningRate: 2e-5
betas: [0.9, 0.95]
precision: bf16-mixed
maxGradNorm: null
lora:
  rank: 8
  targetModules: [q_proj, "v_proj"]
`;

const RUN_SETTINGS = JSON.stringify({
  model: "base",
  learningRate: 1e-5,
  betas: [0.9, 0.999],
  $provenance: { recipe: "sft", origins: { model: { source: "flag", detail: "--model" } } },
});

const time = "2026-01-01T00:00:00.000Z";
const step = { epoch: 0.5, loss: 2.5, lr: 1e-5, grad_norm: 1, trained_tokens: 90, tokens_per_second: 1e3 };
const EVENTS = [
  {
    event: "run-start",
    time,
    format: 1,
    recipe: "sft",
    total_steps: 2,
    environment: { device: "cpu", threads: 1 },
  },
  { event: "step-end", time, step: 1, ...step, sources: { flan: { loss: 2.5, trained_tokens: 90 } } },
  { event: "step-end", time, step: 2, ...step, loss: "NaN", metrics: { "rewards/margins": 0.5 } },
  { event: "eval-end", time, step: 2, name: "held-out", loss: 2, metrics: { accuracy: 0.5 } },
  { event: "sample", time, step: 2, prompt: "a", text: "<b>", finish_reason: "stop" },
  { event: "checkpoint-saved", time, step: 2, path: "final" },
  { event: "run-end", time, status: "completed", step: 2, duration_ms: 10 },
]
  .map((event) => `${JSON.stringify(event)}\n`)
  .join("");

/** One damaged file: bytes of no sense, or the sound file with a few changes. */
function damaged({ valid, kind }: Parser, random: (below: number) => number): Buffer {
  switch (random(8)) {
    case 0:
      return Buffer.from(Array.from({ length: random(200) }, () => random(256)));
    case 1: {
      const alphabet = '{}[]",:-+.eE0123456789truefalsn\\u \n#&*!|>?%@`';
      return Buffer.from(
        Array.from({ length: random(120) }, () => alphabet[random(alphabet.length)]!).join(""),
      );
    }
    case 2:
    case 3:
    case 4:
      return mutate(valid, random);
    default:
      if (kind === "json")
        return Buffer.from(JSON.stringify(mutateJson(JSON.parse(valid.toString()), random)));
      if (kind === "text") return mutate(valid, random);
      return Buffer.from(
        valid
          .toString()
          .split("\n")
          .map((line) =>
            line === "" || random(3) > 0 ? line : JSON.stringify(mutateJson(JSON.parse(line), random)),
          )
          .join("\n"),
      );
  }
}

/** Files here have up to 20 kB; what one reading may take besides, garbage included. */
const MAX_MEGABYTES = 64;
const MAX_MILLISECONDS = 5000;

/**
 * Lets a parser read `rounds` damaged files. Fails on an error of no family, and on one that takes long or much memory.
 * @returns how often each outcome came
 */
export async function survive(parser: Parser, rounds: number, seed: number): Promise<Map<string, number>> {
  const random = seeded(seed);
  const outcomes = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    const bytes = damaged(parser, random);
    writeFileSync(parser.path, bytes);
    const [memory, started] = [megabytesInUse(), performance.now()];
    let outcome = "read";
    try {
      await parser.read();
    } catch (error) {
      if (!(error instanceof CamelidError || error instanceof SafetensorsError)) {
        const excerpt = JSON.stringify(bytes.toString("utf8").slice(0, 600));
        throw new Error(`seed ${seed}, round ${round} ended in an error of no family for ${excerpt}`, {
          cause: error,
        });
      }
      outcome = error.code;
    }
    const spent = { milliseconds: performance.now() - started, megabytes: megabytesInUse() - memory };
    expect(spent.milliseconds, `milliseconds of seed ${seed}, round ${round}`).toBeLessThan(MAX_MILLISECONDS);
    expect(spent.megabytes, `megabytes of seed ${seed}, round ${round}`).toBeLessThan(MAX_MEGABYTES);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  expect(({} as { polluted?: unknown }).polluted, "the prototype of all objects").toBeUndefined();
  return outcomes;
}

function megabytesInUse(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 2 ** 20;
}
