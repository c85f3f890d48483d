import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DataError } from "../errors.js";
import {
  IdSchema,
  MAX_ID,
  NormalizerSchema,
  PostProcessorSchema,
  PreTokenizerSchema,
} from "./pipeline-stages.js";

/**
 * What a model folder says about its tokenizer, before anything native is loaded.
 *
 * Two dialects are read. transformers 4 keeps the chat template inside `tokenizer_config.json` (one string, or a list
 * of named templates); transformers 5 keeps it in `chat_template.jinja`. Where both exist the file wins, as it does
 * there.
 */
export interface TokenizerFiles {
  readonly folder: string;
  readonly json: TokenizerJson;
  readonly config: TokenizerConfig;
  readonly chatTemplate: string | undefined;
  /** sha256 over tokenizer.json and the template: equal fingerprints tokenise a conversation equally. */
  readonly fingerprint: string;
}

const AddedTokenSchema = z.looseObject({
  id: IdSchema,
  content: z.string().refine((content) => content !== "", "is empty"),
  special: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  single_word: z.boolean().default(false),
  normalized: z.boolean().default(false),
});

const TokenizerJsonSchema = z.looseObject({
  added_tokens: z.array(AddedTokenSchema).default([]),
  normalizer: NormalizerSchema.nullish(),
  pre_tokenizer: PreTokenizerSchema.nullish(),
  post_processor: PostProcessorSchema.nullish(),
  // BPE and WordPiece map pieces to ids, Unigram lists [piece, score].
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.union([z.record(z.string(), IdSchema), z.array(z.tuple([z.string(), z.number()]))]),
  }),
});

const TokenNameSchema = z
  .union([z.string(), z.looseObject({ content: z.string() })])
  .nullish()
  .transform((token) => (typeof token === "string" ? token : token?.content));

const IdKeySchema = z
  .string()
  .refine((key) => /^\d+$/.test(key) && Number(key) <= MAX_ID, "is not a token id");

const TokenizerConfigSchema = z.looseObject({
  bos_token: TokenNameSchema,
  eos_token: TokenNameSchema,
  pad_token: TokenNameSchema,
  unk_token: TokenNameSchema,
  add_bos_token: z.boolean().nullish(),
  added_tokens_decoder: z.record(IdKeySchema, AddedTokenSchema.omit({ id: true }).loose()).nullish(),
  chat_template: z
    .union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))])
    .nullish(),
});

export type AddedToken = z.output<typeof AddedTokenSchema>;
export type TokenizerJson = z.output<typeof TokenizerJsonSchema>;
type TokenizerConfig = z.output<typeof TokenizerConfigSchema>;

/**
 * @throws {DataError} ERR_TOKENIZER_MISSING, ERR_TOKENIZER_INVALID
 */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const tokenizerBytes = await readFile(join(folder, "tokenizer.json")).catch(async (cause: unknown) => {
    throw await missingTokenizer(folder, cause);
  });
  const json = parseFile(TokenizerJsonSchema, tokenizerBytes, join(folder, "tokenizer.json"));
  const config = parseFile(
    TokenizerConfigSchema,
    (await readIfPresent(join(folder, "tokenizer_config.json"))) ?? Buffer.from("{}"),
    join(folder, "tokenizer_config.json"),
  );
  const chatTemplate =
    (await readIfPresent(join(folder, "chat_template.jinja")))?.toString("utf8") ?? configTemplate(config);
  const fingerprint = createHash("sha256")
    .update(tokenizerBytes)
    .update("\0")
    .update(chatTemplate ?? "")
    .digest("hex");
  return { folder, json: withConfigTokens(json, config), config, chatTemplate, fingerprint };
}

function configTemplate(config: TokenizerConfig): string | undefined {
  const template = config.chat_template ?? undefined;
  if (template === undefined || typeof template === "string") return template;
  return (template.find((each) => each.name === "default") ?? template[0])?.template;
}

/** Adapters of 2023 declare `<pad>` only in tokenizer_config.json; transformers adds such tokens, and so do we. */
function withConfigTokens(json: TokenizerJson, config: TokenizerConfig): TokenizerJson {
  const known = new Set(json.added_tokens.map((token) => token.content));
  const extra = Object.entries(config.added_tokens_decoder ?? {})
    .filter(([, token]) => !known.has(token.content))
    .map(([id, token]) => AddedTokenSchema.parse({ ...token, id: Number(id) }));
  if (extra.length === 0) return json;
  return { ...json, added_tokens: [...json.added_tokens, ...extra].sort((a, b) => a.id - b.id) };
}

function parseFile<T extends z.ZodType>(schema: T, bytes: Buffer, path: string): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new DataError("ERR_TOKENIZER_INVALID", `the file is not JSON: ${(cause as Error).message}.`, {
      where: path,
      fix: "download or export the tokenizer again.",
      cause,
    });
  }
  const fix = "use a tokenizer written by Hugging Face tokenizers or transformers.";
  let parsed: z.ZodSafeParseResult<z.output<T>>;
  try {
    parsed = schema.safeParse(value);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause; // the stack ended: stages within stages within stages
    throw new DataError("ERR_TOKENIZER_INVALID", "the file is nested too deeply.", {
      where: path,
      fix,
      cause,
    });
  }
  if (parsed.success) return parsed.data;
  throw new DataError("ERR_TOKENIZER_INVALID", `${z.prettifyError(parsed.error)}.`, { where: path, fix });
}

async function readIfPresent(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

async function missingTokenizer(folder: string, cause: unknown): Promise<DataError> {
  const found = await readdir(folder).catch(() => undefined);
  const fix =
    found === undefined
      ? "check the path; a model folder holds config.json, tokenizer.json and the weights."
      : found.includes("tokenizer.model")
        ? "there is only a SentencePiece file: load it once with transformers and save_pretrained(), which writes tokenizer.json."
        : "put the model's tokenizer.json there, or train one with `trainByteLevelBpe`.";
  const listing = found === undefined ? "there is no such folder" : `it holds ${listed(found)}`;
  return new DataError("ERR_TOKENIZER_MISSING", `no tokenizer.json; ${listing}.`, {
    where: folder,
    fix,
    cause,
  });
}

function listed(names: string[]): string {
  if (names.length === 0) return "nothing";
  return names.slice(0, 8).join(", ") + (names.length > 8 ? ` and ${names.length - 8} more` : "");
}
