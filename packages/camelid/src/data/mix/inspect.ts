/**
 * What is asked of each conversation besides its conversion: does the filter match, what is its content hash,
 * how many tokens does it have, does it overlap an evaluation set. One inspector per thread.
 */
import { DataError, SettingsError } from "../../errors.js";
import { loadTokenizer, type Tokenizer } from "../../tokenizer/tokenizer.js";
import type { Conversation } from "../conversation.js";
import type { Mixture } from "../mixture.js";
import type { MixRecord } from "../preference.js";
import { ContentHasher } from "../quality/content-hash.js";
import { keyMessages } from "../quality/conversation-key.js";
import { Decontaminator } from "../quality/decontaminate.js";
import { KeywordFilter } from "../quality/keyword-filter.js";
import { LanguageGuesser } from "../quality/language-guess.js";
import { NearDeduplicator } from "../quality/near-dedup.js";
import { countConversations } from "../render.js";
import type { TokenCounts } from "../tokenize-segments.js";
import { evaluationTexts } from "./evaluation-texts.js";
import type { Contact, FilterHit } from "./job.js";

/** Plain data, so that it can be sent to a thread. */
export interface InspectorSettings
  extends Pick<Mixture, "json" | "filter" | "dedup" | "decontaminate" | "heldOut" | "languages"> {
  readonly tokenizerFolder?: string;
  /** Count the tokens of every conversation as training will see it (length statistics, token quotas). */
  readonly countTokens: boolean;
}

/** Per conversation; arrays that nothing asked for are empty. */
export interface Inspection {
  readonly filtered: readonly (FilterHit | undefined)[];
  readonly contaminated: readonly (readonly Contact[] | undefined)[];
  /** Content hashes and hashes of the first prompt, four words each; zero where there is nothing to compare. */
  readonly hashes: Uint32Array;
  readonly promptHashes: Uint32Array;
  readonly sketches: readonly (Uint8Array | undefined)[];
  readonly tokens: Uint32Array;
  readonly trainedTokens: Uint32Array;
  readonly languages: readonly string[];
}

export class Inspector {
  readonly json: Mixture["json"];
  readonly #filter: KeywordFilter | undefined;
  readonly #hasher: ContentHasher | undefined;
  readonly #promptHasher: ContentHasher | undefined;
  readonly #near: NearDeduplicator | undefined;
  readonly #decontaminator: Decontaminator | undefined;
  readonly #guesser: LanguageGuesser | undefined;

  private constructor(
    readonly settings: InspectorSettings,
    readonly tokenizer: Tokenizer | undefined,
  ) {
    const { json, filter, dedup, decontaminate, heldOut, languages } = settings;
    this.json = json;
    this.#filter = filter && new KeywordFilter(filter);
    this.#hasher = dedup?.exact && new ContentHasher(dedup.exact.normalization ?? "whitespace");
    this.#promptHasher = heldOut && new ContentHasher("case");
    this.#near = dedup?.near && new NearDeduplicator(dedup.near);
    this.#guesser = languages ? new LanguageGuesser() : undefined;
    if (decontaminate !== undefined) {
      const { benchmarks: _, files: __, action: ___, ...options } = decontaminate;
      this.#decontaminator = new Decontaminator(evaluationTexts(decontaminate), options);
    }
  }

  static async open(settings: InspectorSettings): Promise<Inspector> {
    const { tokenizerFolder } = settings;
    return new Inspector(
      settings,
      tokenizerFolder === undefined ? undefined : await loadTokenizer(tokenizerFolder),
    );
  }

  /** Token counts as `tokenizer(text).input_ids` has them: special tokens in the text parsed, BOS in front. */
  async countTokens(texts: readonly string[]): Promise<number[]> {
    if (texts.length === 0) return [];
    if (this.tokenizer === undefined) {
      throw new SettingsError("ERR_MIX_TOKENIZER", "splitting conversations by tokens needs a tokenizer.", {
        fix: "add --tokenizer DIR (the folder of the model to be trained).",
      });
    }
    return await this.tokenizer.countBatch(texts, { addSpecialTokens: true, parseSpecialTokens: true });
  }

  /** @param pass true for rows that are written whatever they hold (identity rows, up-sampled copies). */
  async inspect(conversations: readonly MixRecord[], pass: boolean): Promise<Inspection> {
    const rendering = this.#render(conversations);
    const n = conversations.length;
    const filtered: (FilterHit | undefined)[] = new Array(n);
    const contaminated: (readonly Contact[] | undefined)[] = new Array(n);
    const sketches: (Uint8Array | undefined)[] = [];
    const hashes = new Uint32Array(this.#hasher === undefined || pass ? 0 : n * 4);
    const promptHashes = new Uint32Array(this.#promptHasher === undefined || pass ? 0 : n * 4);
    if (!pass) {
      for (let i = 0; i < n; i++) {
        const conversation = conversations[i]!;
        filtered[i] = this.#match(conversation);
        if (filtered[i] !== undefined) continue; // gone already: nothing else can change that
        // A row without content is nobody's duplicate: its hash stays zero.
        const key = this.settings.dedup?.exact?.key ?? "conversation";
        if (this.#hasher?.update(keyMessages(conversation, key))) hashes.set(this.#hasher.hash, i * 4);
        if (this.#promptHasher?.update(keyMessages(conversation, "first-prompt"))) {
          promptHashes.set(this.#promptHasher.hash, i * 4);
        }
        contaminated[i] = this.#contacts(conversation);
        sketches[i] = this.#near?.sketch(conversation);
      }
    }
    const languages = this.#guesser === undefined ? [] : conversations.map((row) => this.#guess(row));
    return { filtered, contaminated, hashes, promptHashes, sketches, languages, ...(await rendering) };
  }

  #match(conversation: Conversation): FilterHit | undefined {
    const match = this.#filter?.process(conversation)[0];
    if (match === undefined) return undefined;
    const { content } = conversation.messages[match.message]!;
    const excerpt = content.slice(Math.max(0, match.start - 60), match.end + 60).replace(/\s+/g, " ");
    return { keyword: match.keyword, excerpt };
  }

  #contacts(conversation: Conversation): Contact[] | undefined {
    const matches = this.#decontaminator?.process(conversation) ?? [];
    if (matches.length === 0) return undefined;
    return matches.slice(0, 3).map(({ benchmark, id, coverage, excerpt }) => ({
      benchmark,
      item: id,
      coverage,
      text: excerpt.slice(0, 200).replace(/\s+/g, " "),
    }));
  }

  /** By the beginnings of the first two turns: "Translate:" should not decide over a long foreign answer. */
  #guess({ messages }: Conversation): string {
    const turns = messages.filter((message) => message.role !== "system").slice(0, 2);
    return this.#guesser!.guess(turns.map(({ content }) => content.slice(0, 1000)).join("\n"));
  }

  async #render(conversations: readonly MixRecord[]) {
    const n = this.settings.countTokens && this.tokenizer !== undefined ? conversations.length : 0;
    const tokens = new Uint32Array(n);
    const trainedTokens = new Uint32Array(n);
    if (n > 0) {
      // Both sides of a pair are trained on.
      const sides = conversations.flatMap((record, i) =>
        record.pair === undefined
          ? [{ i, row: record }]
          : Object.values(record.pair).map((messages) => ({ i, row: { ...record, messages } })),
      );
      const counts = await this.#countAll(sides.map(({ row }) => row));
      sides.forEach(({ i }, side) => {
        tokens[i]! += counts[side]?.tokens ?? 0;
        trainedTokens[i]! += counts[side]?.trainedTokens ?? 0;
      });
    }
    return { tokens, trainedTokens };
  }

  /** A conversation that the template refuses is the trainer's to report; here it only has no length. */
  async #countAll(conversations: readonly Conversation[]): Promise<(TokenCounts | undefined)[]> {
    const refused = (cause: unknown) => {
      if (cause instanceof DataError) return undefined;
      throw cause;
    };
    const together = await countConversations(conversations, this.tokenizer!).catch(refused);
    if (together !== undefined) return together;
    return await Promise.all(
      conversations.map(
        async (row) => (await countConversations([row], this.tokenizer!).catch(refused))?.[0],
      ),
    );
  }
}
