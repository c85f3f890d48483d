/**
 * A mixture of one's own, as it is written in JSON, YAML or TypeScript, checked once and made into a `Mixture`.
 *
 *     name: support-chat
 *     seed: 1
 *     sources:
 *       - { name: tickets, files: tickets.jsonl, rows: 20000 }
 *       - { name: manuals, files: [a.csv, b.csv.gz], columns: { prompt: question, completion: answer }, weight: 2 }
 *     total: { trainedTokens: 5000000 }
 *     filter: word
 *     dedup: { exact: true, near: { threshold: 0.8 } }
 *     heldOut: 0.01
 *
 * Paths are relative to the file, or to the working folder from TypeScript.
 */
import { isAbsolute, join } from "node:path";
import { z } from "zod";
import { SettingsError } from "../errors.js";
import { readSettingsFile } from "../settings/layers.js";
import { closest } from "../settings/suggest.js";
import type { Mixture, MixtureSource, Quota } from "./mixture.js";
import { SOURCES } from "./sources/registry.js";

const count = z.int().positive();
const keyName = z.enum(["conversation", "first-prompt", "prompt-and-answer"]);
const normalization = z.enum(["none", "whitespace", "case"]);

const SourceSchema = z
  .strictObject({
    /** The `dataset` of its rows. */
    name: z.string().min(1),
    /**
     * One file or several, read as one list; plain or .gz: JSON lines, JSON array, CSV, TSV, Parquet, xlsx. On the
     * command line also `hub:org/name@revision`, a data set of the hub.
     */
    files: z.union([z.string(), z.array(z.string()).min(1)]),
    /** How a row becomes a conversation: `auto`, or a name of sources/registry.ts. */
    format: z.enum(["auto", ...SOURCES.keys()]).default("auto"),
    /** Which of the file's columns holds what: `{ prompt: "question" }`. */
    columns: z.record(z.string(), z.string()).optional(),
    /** One of these: rows, trained tokens, or a share of `total`. All rows in file order without any. */
    rows: count.optional(),
    trainedTokens: count.optional(),
    weight: z.number().positive().optional(),
    /** Repeat rows when there are too few for `rows` or `trainedTokens`. */
    upsample: z.boolean().optional(),
    repeat: count.optional(),
    exempt: z.boolean().optional(),
    maxTokens: count.optional(),
    topReplies: count.optional(),
  })
  .refine(
    ({ rows, trainedTokens, weight }) =>
      [rows, trainedTokens, weight].filter((v) => v !== undefined).length <= 1,
    {
      message: "give one of rows, trainedTokens and weight",
    },
  );

const FilterSchema = z.union([
  z.enum(["word", "substring"]).transform((mode) => ({ mode })),
  z.strictObject({ mode: z.enum(["word", "substring"]), keywords: z.array(z.string()).optional() }),
]);

const DedupSchema = z.strictObject({
  exact: z
    .union([
      z.boolean().transform((on) => (on ? {} : undefined)),
      z.strictObject({ normalization: normalization.optional(), key: keyName.optional() }),
    ])
    .optional(),
  near: z
    .union([
      z.boolean().transform((on) => (on ? {} : undefined)),
      z.strictObject({
        threshold: z.number().gt(0).max(1).optional(),
        shingleWords: count.optional(),
        key: keyName.optional(),
        bands: count.optional(),
        rowsPerBand: count.optional(),
      }),
    ])
    .optional(),
});

const DecontaminateSchema = z.strictObject({
  benchmarks: z
    .union([
      z.string().transform((folder) => ({ folder, names: undefined })),
      z.strictObject({ folder: z.string(), names: z.array(z.string()).optional() }),
    ])
    .optional(),
  files: z.array(z.strictObject({ name: z.string(), files: z.array(z.string()).min(1) })).optional(),
  action: z.enum(["remove", "report"]).default("remove"),
  ngramWords: count.optional(),
  minCoverage: z.number().min(0).max(1).optional(),
  minWords: count.optional(),
  messages: z.enum(["all", "user"]).optional(),
});

const MixtureSchema = z.strictObject({
  name: z.string().min(1).default("mixture"),
  seed: z.int().nonnegative().default(42),
  sources: z.array(SourceSchema).min(1),
  total: z.union([z.strictObject({ rows: count }), z.strictObject({ trainedTokens: count })]).optional(),
  filter: FilterSchema.optional(),
  dedup: DedupSchema.optional(),
  decontaminate: DecontaminateSchema.optional(),
  heldOut: z
    .union([z.number(), z.strictObject({ fraction: z.number() }).transform((v) => v.fraction)])
    .optional(),
  languages: z.boolean().default(true),
});

/** What is written at the call site, in JSON or in YAML. */
export type MixtureInput = z.input<typeof MixtureSchema>;

/**
 * Checks a mixture of one's own. @throws {SettingsError} with everything that is wrong with it at once
 * @param base folder that relative paths start from
 */
export function defineMixture(input: MixtureInput, base = ".", shownAs = "mixture"): Mixture {
  const parsed = MixtureSchema.safeParse(input);
  if (!parsed.success) throw mixtureError(parsed.error, shownAs);
  const { sources, heldOut, dedup, decontaminate, filter, total, ...rest } = parsed.data;
  const at = (path: string) => (isAbsolute(path) || path.startsWith("hub:") ? path : join(base, path));
  const names = sources.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new SettingsError("ERR_MIX_SETTINGS", `two sources are called "${twice}".`, {
      where: shownAs,
      fix: "names are the keys of counts and curves: give each source its own, or list all its files in one.",
    });
  }
  const { exact, near } = dedup ?? {};
  return defined({
    ...rest,
    randomness: "per-source",
    json: "compact",
    sources: sources.map((source) => toSource(source, at)),
    total,
    filter: filter && defined(filter),
    dedup:
      exact === undefined && near === undefined
        ? undefined
        : defined({ exact: exact && defined(exact), near: near && defined(near) }),
    decontaminate:
      decontaminate &&
      defined({
        ...decontaminate,
        benchmarks:
          decontaminate.benchmarks &&
          defined({ ...decontaminate.benchmarks, folder: at(decontaminate.benchmarks.folder) }),
        files: decontaminate.files?.map(({ name, files }) => ({ name, files: files.map(at) })),
      }),
    heldOut: heldOut === undefined ? undefined : { fraction: checkFraction(heldOut, shownAs) },
  }) as Mixture;
}

/** Reads a JSON or YAML mixture. Paths in it are relative to its folder. @throws {SettingsError} */
export function readMixtureFile(path: string): Mixture {
  const { values } = readSettingsFile(path);
  return defineMixture(values as MixtureInput, join(path, ".."), path);
}

function toSource(source: z.output<typeof SourceSchema>, at: (path: string) => string): MixtureSource {
  const { name, files, format, columns, maxTokens, topReplies, repeat, exempt } = source;
  const quota = quotaOf(source);
  const options = defined({ columns, maxTokens, topReplies });
  const paths = (typeof files === "string" ? [files] : files).map(at);
  return defined({
    name,
    format,
    parts: [{ files: paths, draw: { kind: quota === undefined ? "all" : "until-quota" } as const }],
    options,
    repeat,
    exempt,
    quota,
  }) as MixtureSource;
}

function quotaOf({
  rows,
  trainedTokens,
  weight,
  upsample = false,
}: z.output<typeof SourceSchema>): Quota | undefined {
  if (rows !== undefined) return { by: "rows", rows, upsample };
  if (trainedTokens !== undefined) return { by: "trained-tokens", tokens: trainedTokens, upsample };
  return weight === undefined ? undefined : { by: "weight", weight };
}

function checkFraction(fraction: number, where: string): number {
  if (fraction > 0 && fraction < 1) return fraction;
  throw new SettingsError("ERR_MIX_SETTINGS", `heldOut is ${fraction}.`, {
    where,
    fix: "give the share of rows to hold out, between 0 and 1: 0.01 holds out 1 %.",
  });
}

/** Leaves out what is undefined: optional properties here are absent or set. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

const KEYS = [
  ...Object.keys(MixtureSchema.shape),
  ...Object.keys(SourceSchema.shape),
  ...Object.keys(DedupSchema.shape),
  ...Object.keys(DecontaminateSchema.shape),
];

function mixtureError(error: z.ZodError, where: string): SettingsError {
  const lines = error.issues.map((issue) => {
    const path = issue.path
      .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
      .join("")
      .replace(/^\./, "");
    if (issue.code !== "unrecognized_keys") return `  - ${path || "mixture"}: ${issue.message}`;
    const meant = issue.keys.map((key) => closest(key, KEYS)).find((key) => key !== undefined);
    const suggestion = meant === undefined ? "" : `; did you mean "${meant}"?`;
    return `  - ${path || "mixture"}: unknown key ${issue.keys.map((key) => `"${key}"`).join(", ")}${suggestion}`;
  });
  return new SettingsError("ERR_MIX_SETTINGS", `the mixture is not valid.\n${lines.join("\n")}`, {
    where,
    fix: "correct these; docs/guides/mixing.md lists every key.",
  });
}
