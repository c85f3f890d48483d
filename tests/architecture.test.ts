/** The way imports may point, held against every source file. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const source = join(root, "packages/camelid/src");

/** Folder -> folders of packages/camelid/src that it may import, besides itself and `errors`. */
const ALLOWED: Record<string, readonly string[]> = {
  errors: [],
  run: [],
  report: ["run", "settings"],
  settings: ["run", "parallel"],
  tokenizer: ["run"],
  weights: ["run"],
  data: ["tokenizer", "run", "report", "settings", "weights"],
  nn: [],
  parallel: [],
  plan: ["train", "adapters", "parallel", "model", "data", "run"],
  model: ["nn", "parallel", "weights", "tokenizer", "run"],
  adapters: ["model", "nn", "weights", "run"],
  train: ["adapters", "parallel", "model", "nn", "data", "run", "report", "settings", "tokenizer"],
  generate: ["adapters", "model", "nn", "tokenizer", "data"],
  eval: ["generate", "model", "nn", "data", "run", "report", "settings", "tokenizer"],
  export: ["adapters", "model", "nn", "weights", "run", "tokenizer", "data", "report"],
  serve: ["generate", "model", "tokenizer", "data", "run"],
  studio: [
    "data",
    "run",
    "report",
    "settings",
    "tokenizer",
    "generate",
    "model",
    "adapters",
    "eval",
    "train",
  ],
  experiments: ["eval", "run", "report"],
  demo: ["data"],
};

/** Who may import @camelid/torch at all; in `data` only where rows become tensors. */
const KNOWS_TENSORS = new Set([
  "weights",
  "nn",
  "model",
  "adapters",
  "parallel",
  "plan",
  "train",
  "generate",
  "eval",
  "export",
  "serve",
]);
const TENSORS_IN_DATA = new Set(["data/collate.ts"]);

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => join(folder, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map((match) => match[1]!);
}

/** First part of a path below packages/camelid/src: "nn", or "errors" for a file at the top. */
const zoneOf = (file: string): string =>
  relative(source, file)
    .split("/")[0]!
    .replace(/\.[tj]s$/, "");

test("imports inside camelid point one way", () => {
  const wrong = sources(source).flatMap((file) => {
    const zone = zoneOf(file);
    if (zone === "cli" || zone === "index") return [];
    const allowed = new Set([zone, "errors", ...(ALLOWED[zone] ?? [])]);
    return importsOf(file)
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => zoneOf(join(dirname(file), specifier)))
      .filter((target) => !allowed.has(target))
      .map((target) => `${relative(source, file)} imports ${target}`);
  });
  expect(wrong).toEqual([]);
});

test("only the stages that compute know tensors", () => {
  const wrong = sources(source).filter((file) => {
    const zone = zoneOf(file);
    if (zone === "cli" || zone === "index" || KNOWS_TENSORS.has(zone)) return false;
    return importsOf(file).includes("@camelid/torch") && !TENSORS_IN_DATA.has(relative(source, file));
  });
  expect(wrong.map((file) => relative(source, file))).toEqual([]);
});

test("packages/torch imports nothing of ours", () => {
  for (const file of sources(join(root, "packages/torch/src"))) {
    expect(importsOf(file).filter((specifier) => specifier.startsWith("camelid"))).toEqual([]);
  }
});

test("recipes use the public API only", () => {
  for (const file of sources(join(root, "recipes"))) {
    const own = importsOf(file).filter((specifier) => specifier.startsWith("."));
    expect(
      own.filter((specifier) => !join(dirname(file), specifier).startsWith(join(root, "recipes"))),
    ).toEqual([]);
  }
});
