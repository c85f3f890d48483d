/**
 * What is asked of each conversation besides its conversion: does the filter match, what is its content hash,
 * how many tokens does it have, does it overlap an evaluation set. One inspector per thread.
 */

import { SettingsError } from "../../errors.js";
import { loadTokenizer, type Tokenizer } from "../../tokenizer/tokenizer.js";
import type { Conversation } from "../conversation.js";
import type { Mixture } from "../mixture.js";
import { ContentHasher } from "../quality/content-hash.js";
import { keyMessages } from "../quality/conversation-key.js";
import { KeywordFilter } from "../quality/keyword-filter.js";
import type { Contact, FilterHit } from "./job.js";

/** Plain data, so that it can be sent to a thread. */
export interface InspectorSettings {
  readonly json: Mixture["json"];
  readonly filter?: Mixture["filter"];
  readonly dedup?: Mixture["dedup"];
  readonly heldOut?: Mixture["heldOut"];
  readonly tokenizerFolder?: string;
  /** Count the tokens of every conversation as training will see it (length statistics, token quotas). */
  readonly countTokens: boolean;
}

export interface Inspection {
  readonly filtered: readonly (FilterHit | undefined)[];
  readonly contaminated: readonly (readonly Contact[] | undefined)[];
  readonly hashes: Uint32Array;
  readonly keyHashes: Uint32Array;
  readonly signatures: Uint32Array;
  readonly tokens: readonly number[] | Uint32Array;
  readonly trainedTokens: readonly number[] | Uint32Array;
  readonly languages: readonly (string | undefined)[];
}

export class Inspector {
  readonly json: Mixture["json"];
  readonly #filter: KeywordFilter | undefined;
  readonly #hasher: ContentHasher | undefined;
  readonly #promptHasher: ContentHasher | undefined;

  private constructor(
    readonly settings: InspectorSettings,
    readonly tokenizer: Tokenizer | undefined,
  ) {
    this.json = settings.json;
    this.#filter = settings.filter && new KeywordFilter(settings.filter);
    const exact = settings.dedup?.exact;
    this.#hasher = exact && new ContentHasher(exact.normalization);
    this.#promptHasher = settings.heldOut && new ContentHasher("case");
  }

  static async open(settings: InspectorSettings): Promise<Inspector> {
    const tokenizer =
      settings.tokenizerFolder === undefined ? undefined : await loadTokenizer(settings.tokenizerFolder);
    return new Inspector(settings, tokenizer);
  }

  /** Token counts as `tokenizer(text).input_ids` has them: special tokens in the text parsed, BOS in front. */
  async countTokens(texts: readonly string[]): Promise<number[]> {
    if (texts.length === 0) return [];
    if (this.tokenizer === undefined) {
      throw new SettingsError("ERR_MIX_TOKENIZER", "splitting conversations by tokens needs a tokenizer.", {
        fix: "add --tokenizer DIR (the folder of the model to be trained).",
      });
    }
    const ids = await this.tokenizer.encodeBatch(texts, { addSpecialTokens: true, parseSpecialTokens: true });
    return ids.map((row) => row.length);
  }

  /** @param pass true for rows that are written whatever they hold (identity rows, up-sampled copies). */
  async inspect(conversations: readonly Conversation[], pass: boolean): Promise<Inspection> {
    const n = conversations.length;
    const filtered: (FilterHit | undefined)[] = new Array(n);
    const hashes = new Uint32Array(this.#hasher === undefined || pass ? 0 : n * 4);
    const keyHashes = new Uint32Array(this.#promptHasher === undefined || pass ? 0 : n * 4);
    if (!pass) {
      for (let i = 0; i < n; i++) {
        const conversation = conversations[i]!;
        filtered[i] = this.#match(conversation);
        if (this.#hasher !== undefined) {
          // A row without content is nobody's duplicate: its hash stays zero.
          const key = this.settings.dedup!.exact!.key;
          if (this.#hasher.update(keyMessages(conversation, key))) hashes.set(this.#hasher.hash, i * 4);
        }
        if (this.#promptHasher?.update(keyMessages(conversation, "first-prompt"))) {
          keyHashes.set(this.#promptHasher.hash, i * 4);
        }
      }
    }
    return {
      filtered,
      contaminated: new Array(n),
      hashes,
      keyHashes,
      signatures: new Uint32Array(0),
      tokens: [],
      trainedTokens: [],
      languages: new Array(n),
    };
  }

  #match(conversation: Conversation): FilterHit | undefined {
    const match = this.#filter?.process(conversation)[0];
    if (match === undefined) return undefined;
    const { content } = conversation.messages[match.message]!;
    const excerpt = content.slice(Math.max(0, match.start - 60), match.end + 60).replace(/\s+/g, " ");
    return { keyword: match.keyword, excerpt };
  }
}
