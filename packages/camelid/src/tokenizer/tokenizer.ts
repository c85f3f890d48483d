import { modelFolder } from "../run/hub-names.js";
import type { AddedAround } from "./post-processor.js";
import { addedAround } from "./post-processor.js";
import type { SpecialMatcher } from "./special-tokens.js";
import { specialMatcher, swallowed } from "./special-tokens.js";
import type { StretchPlace, StretchTokenizer } from "./stretch-tokenizer.js";
import { stretchKey, stretchTokenizer } from "./stretch-tokenizer.js";
import type { TokenizerFiles, TokenizerJson } from "./tokenizer-files.js";
import { readTokenizerFiles } from "./tokenizer-files.js";

/** Options of `encode`; both are off unless asked for, so text is text. */
interface EncodeOptions {
  /** Put the ids of the file's post-processor around the text: for Llama, BOS in front. */
  addSpecialTokens?: boolean;
  /** Turn the text of special tokens into their ids, as Hugging Face does by default. */
  parseSpecialTokens?: boolean;
}

interface DecodeOptions {
  /** Leave special tokens out; on unless said otherwise. */
  skipSpecialTokens?: boolean;
}

/**
 * A `tokenizer.json` with the facts of its folder. Encoding is asynchronous because the native library encodes on its
 * own threads; decoding is not, so a generation loop can show text as it comes.
 */
export interface Tokenizer {
  readonly folder: string;
  /** Highest id + 1, added tokens included: the rows an embedding must have. */
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly padToken: string | undefined;
  readonly unkToken: string | undefined;
  /** True when texts of this model start with BOS. */
  readonly addsBos: boolean;
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Jinja source, from chat_template.jinja or tokenizer_config.json. */
  readonly chatTemplate: string | undefined;
  /** sha256 over tokenizer.json and the template. */
  readonly fingerprint: string;

  encode(text: string, options?: EncodeOptions): Promise<number[]>;
  /** Many texts in one native call: the way to tokenise a data set. */
  encodeBatch(texts: readonly string[], options?: EncodeOptions): Promise<number[][]>;
  /** How many ids `encodeBatch` would give for each text, without taking them out of the library. */
  countBatch(texts: readonly string[], options?: EncodeOptions): Promise<number[]>;
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  idToToken(id: number): string | undefined;
  tokenToId(token: string): number | undefined;

  /** For the renderer: special tokens in a text, and the tokenizer of the stretches between them. */
  readonly specials: SpecialMatcher;
  stretches(place: StretchPlace): StretchTokenizer;
}

/**
 * Loads the tokenizer of a model folder, or of a fetched model by its name on the hub.
 * @throws {DataError} ERR_TOKENIZER_MISSING, ERR_TOKENIZER_INVALID
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  return new FolderTokenizer(await readTokenizerFiles(modelFolder(folder)));
}

interface Part {
  text: string;
  place: "head" | "inner";
  tokens: { readonly ids: readonly number[]; readonly length: number };
}

const HEAD: StretchPlace = { place: "head", dummyPrefix: "as-file" };
const stretch = (text: string, place: "head" | "inner"): Part => ({
  text,
  place,
  tokens: { ids: [], length: 0 },
});

class FolderTokenizer implements Tokenizer {
  readonly folder: string;
  readonly vocabSize: number;
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly padToken: string | undefined;
  readonly unkToken: string | undefined;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly addsBos: boolean;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly chatTemplate: string | undefined;
  readonly fingerprint: string;
  readonly specials: SpecialMatcher;
  readonly #files: TokenizerFiles;
  readonly #around: AddedAround;
  readonly #tokens: (string | undefined)[];
  readonly #ids: Map<string, number>;
  readonly #specialIds: Set<number>;
  readonly #stretchTokenizers = new Map<string, StretchTokenizer>();

  constructor(files: TokenizerFiles) {
    this.#files = files;
    this.folder = files.folder;
    this.chatTemplate = files.chatTemplate;
    this.fingerprint = files.fingerprint;
    this.#ids = pieces(files.json);
    this.#tokens = byId(this.#ids);
    this.vocabSize = this.#tokens.length;
    this.specials = specialMatcher(files.json.added_tokens);
    this.specialTokens = new Map([...this.specials.tokens].map(([content, { id }]) => [content, id]));
    this.#specialIds = new Set(this.specialTokens.values());
    this.bosToken = files.config.bos_token;
    this.eosToken = files.config.eos_token;
    this.padToken = files.config.pad_token;
    this.unkToken = files.config.unk_token;
    this.stretches(HEAD); // a file that the library rejects fails here, not at the first row
    this.bosTokenId = this.#idOf(this.bosToken);
    this.eosTokenId = this.#idOf(this.eosToken);
    this.padTokenId = this.#idOf(this.padToken);
    this.#around = bosAsConfigured(
      addedAround(files.json),
      this.bosTokenId,
      files.config.add_bos_token ?? undefined,
    );
    this.addsBos = this.bosTokenId !== undefined && this.#around.before.includes(this.bosTokenId);
  }

  async encode(text: string, options: EncodeOptions = {}): Promise<number[]> {
    return (await this.encodeBatch([text], options))[0]!;
  }

  async encodeBatch(texts: readonly string[], options: EncodeOptions = {}): Promise<number[][]> {
    const { before, after } = this.#aroundIf(options);
    const rows = await this.#encodeParts(texts, options);
    return rows.map((parts) => [...before, ...parts.flatMap((part) => part.tokens.ids), ...after]);
  }

  async countBatch(texts: readonly string[], options: EncodeOptions = {}): Promise<number[]> {
    const { before, after } = this.#aroundIf(options);
    const rows = await this.#encodeParts(texts, options);
    const added = before.length + after.length;
    return rows.map((parts) => parts.reduce((sum, part) => sum + part.tokens.length, added));
  }

  #aroundIf({ addSpecialTokens = false }: EncodeOptions): AddedAround {
    return addSpecialTokens ? this.#around : { before: [], after: [] };
  }

  async #encodeParts(texts: readonly string[], { parseSpecialTokens = false }: EncodeOptions) {
    const rows = texts.map((text) => (parseSpecialTokens ? this.#split(text) : [stretch(text, "head")]));
    for (const place of ["head", "inner"] as const) {
      const parts = rows.flat().filter((part) => part.place === place && part.text.length > 0);
      if (parts.length === 0) continue;
      const encoded = await this.stretches({ place, dummyPrefix: "as-file" }).encode(
        parts.map((part) => part.text),
      );
      for (const [index, part] of parts.entries()) part.tokens = encoded[index]!;
    }
    return rows;
  }

  #split(text: string): Part[] {
    const parts: Part[] = [];
    let position = 0;
    const stretchUpTo = (end: number) => {
      if (end > position) parts.push(stretch(text.slice(position, end), position === 0 ? "head" : "inner"));
    };
    for (const match of this.specials.find(text)) {
      const { start, end } = swallowed(match, text);
      stretchUpTo(start);
      parts.push({ text: "", place: "inner", tokens: { ids: [match.token.id], length: 1 } });
      position = end;
    }
    stretchUpTo(text.length);
    return parts;
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = true }: DecodeOptions = {}): string {
    const tokens: string[] = [];
    for (let index = 0; index < ids.length; index++) {
      const id = ids[index]!;
      const token = this.#tokens[id];
      if (token !== undefined && !(skipSpecialTokens && this.#specialIds.has(id))) tokens.push(token);
    }
    return this.stretches(HEAD).decodeTokens(tokens);
  }

  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }

  #idOf(token: string | undefined): number | undefined {
    return token === undefined ? undefined : this.#ids.get(token);
  }

  stretches(place: StretchPlace): StretchTokenizer {
    const key = stretchKey(this.#files.json, place);
    const known = this.#stretchTokenizers.get(key);
    if (known !== undefined) return known;
    const made = stretchTokenizer(this.#files, place);
    this.#stretchTokenizers.set(key, made);
    return made;
  }
}

/** Llama's classes let tokenizer_config.json overrule the post-processor: `add_bos_token`. */
function bosAsConfigured(
  around: AddedAround,
  bos: number | undefined,
  addBos: boolean | undefined,
): AddedAround {
  if (bos === undefined || addBos === undefined || around.before.includes(bos) === addBos) return around;
  const before = addBos ? [bos, ...around.before] : around.before.filter((id) => id !== bos);
  return { ...around, before };
}

function pieces(json: TokenizerJson): Map<string, number> {
  const { vocab } = json.model;
  const ids = Array.isArray(vocab)
    ? new Map(vocab.map(([piece], index) => [piece, index]))
    : new Map(Object.entries(vocab));
  for (const token of json.added_tokens) ids.set(token.content, token.id);
  return ids;
}

function byId(ids: Map<string, number>): (string | undefined)[] {
  let highest = -1;
  for (const id of ids.values()) highest = Math.max(highest, id);
  const tokens = new Array<string | undefined>(highest + 1);
  for (const [token, id] of ids) tokens[id] = token;
  return tokens;
}
