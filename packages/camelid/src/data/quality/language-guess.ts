/**
 * A guess at the language of a text, for statistics: which languages a source holds, roughly. No model, no download.
 *
 * The script decides where one language has it nearly to itself (Greek, Hangul, Thai, kana ...). Latin, Cyrillic, Arabic
 * and Devanagari text is decided by counting function words and letters of its own (language-words.ts); what several
 * languages share counts for each by its share.
 *
 * Limits, on purpose: some 40 languages; source code, formulas, names and texts of one or two words give "und"
 * (undetermined); Malay reads as Indonesian, Croatian and Bosnian are unknown, short Danish and Norwegian get mixed up.
 * Measured on the questions and passages of TyDiQA and on real instructions: docs/results/data-quality.md.
 */
import { ARABIC, CYRILLIC, DEVANAGARI, LATIN, type LanguageTraits } from "./language-words.js";
import { WordScanner } from "./word-scanner.js";

/** Two-letter ISO 639-1 code, or "und". */
export type LanguageCode = string;

/** UTF-16 units that are read: enough to be sure, little enough to be quick. */
const READ_UNITS = 1000;

export class LanguageGuesser {
  private readonly scanner = new WordScanner();
  private readonly scripts = new Uint32Array(SCRIPTS.length);

  guess(text: string): LanguageCode {
    const { scanner } = this;
    scanner.reset();
    const head = scanner.append(text.length > READ_UNITS ? text.slice(0, READ_UNITS) : text);
    const script = this.mainScript(head);
    if (script === undefined) return "und";
    if (script.language !== undefined) return script.language;
    return this.byTraits(script.traits!(), head);
  }

  /** The script of most letters. Kana decides against Han: Japanese text holds more of the latter. */
  private mainScript(text: string): Script | undefined {
    if (!NON_ASCII.test(text)) return /[a-z]/i.test(text) ? SCRIPTS[LATIN_SCRIPT] : undefined;
    const table = scriptTable();
    this.scripts.fill(0);
    for (let i = 0; i < text.length; i++) this.scripts[table[text.charCodeAt(i)]!]!++;
    if (10 * this.scripts[KANA]! > this.scripts[HAN]!) {
      this.scripts[KANA]! += this.scripts[HAN]!;
      this.scripts[HAN] = 0;
    }
    let best = 0;
    for (let script = 1; script < SCRIPTS.length; script++) {
      if (this.scripts[script]! > (best === 0 ? 0 : this.scripts[best]!)) best = script;
    }
    return best === 0 ? undefined : SCRIPTS[best];
  }

  private byTraits(
    { languages, words, wordFilter, letters, letterWeight, fallback }: Traits,
    text: string,
  ): LanguageCode {
    const { hashes, count: wordCount } = this.scanner;
    const scores = new Float64Array(languages.length);
    const count = (owners: readonly number[] | undefined, weight: number) => {
      if (owners !== undefined) for (const language of owners) scores[language]! += weight / owners.length;
    };
    for (let i = 0; i < wordCount; i++) {
      const hash = hashes[i]!;
      if (wordFilter[hash >>> 16] !== 0) count(words.get(hash), 1);
    }
    if (NON_ASCII.test(text)) {
      for (let i = 0; i < text.length; i++) count(letters.get(text.charCodeAt(i)), letterWeight);
    }
    let best = 0;
    let second = 0;
    for (const score of scores) {
      if (score > best) [best, second] = [score, best];
      else if (score > second) second = score;
    }
    // Function words are a third to a half of prose; under 3 % of a longer text they are accidents.
    const sure = best >= Math.max(0.9, 0.03 * wordCount) && best > 1.1 * second;
    return sure ? languages[scores.indexOf(best)]! : fallback;
  }
}

/** Word hash or letter -> the languages (by index) that have it. */
interface Traits {
  readonly languages: readonly string[];
  readonly words: ReadonlyMap<number, readonly number[]>;
  readonly letters: ReadonlyMap<number, readonly number[]>;
  /** By the upper half of a word hash: 0 when `words` has none like it, as for most words of a text. */
  readonly wordFilter: Uint8Array;
  /** What a letter says, a word being 1. */
  readonly letterWeight: number;
  /** The answer when nothing is sure. */
  readonly fallback: LanguageCode;
}

interface Script {
  readonly pattern: RegExp;
  /** Set when the script alone decides; else `traits`. */
  readonly language?: LanguageCode;
  readonly traits?: () => Traits;
}

/**
 * Index 0 stands for all that is in no script. In Latin text a letter says little, since names keep theirs in foreign
 * text. In Cyrillic text it says as much as a word, and text without any letter of the others is most likely Russian.
 */
const SCRIPTS: readonly Script[] = [
  { pattern: /[^\s\S]/ },
  { pattern: /\p{Script=Latin}/u, traits: traitsOf(LATIN, 0.25) },
  { pattern: /\p{Script=Han}/u, language: "zh" },
  { pattern: /[\p{Script=Hiragana}\p{Script=Katakana}]/u, language: "ja" },
  { pattern: /\p{Script=Cyrillic}/u, traits: traitsOf(CYRILLIC, 1, "ru") },
  { pattern: /\p{Script=Arabic}/u, traits: traitsOf(ARABIC, 0.25) },
  { pattern: /\p{Script=Devanagari}/u, traits: traitsOf(DEVANAGARI, 0.25) },
  { pattern: /\p{Script=Hangul}/u, language: "ko" },
  { pattern: /\p{Script=Greek}/u, language: "el" },
  { pattern: /\p{Script=Hebrew}/u, language: "he" },
  { pattern: /\p{Script=Thai}/u, language: "th" },
  { pattern: /\p{Script=Bengali}/u, language: "bn" },
  { pattern: /\p{Script=Telugu}/u, language: "te" },
  { pattern: /\p{Script=Tamil}/u, language: "ta" },
  { pattern: /\p{Script=Kannada}/u, language: "kn" },
  { pattern: /\p{Script=Malayalam}/u, language: "ml" },
  { pattern: /\p{Script=Gujarati}/u, language: "gu" },
  { pattern: /\p{Script=Gurmukhi}/u, language: "pa" },
  { pattern: /\p{Script=Georgian}/u, language: "ka" },
  { pattern: /\p{Script=Armenian}/u, language: "hy" },
  { pattern: /\p{Script=Khmer}/u, language: "km" },
  { pattern: /\p{Script=Lao}/u, language: "lo" },
  { pattern: /\p{Script=Myanmar}/u, language: "my" },
  { pattern: /\p{Script=Ethiopic}/u, language: "am" },
];
const LATIN_SCRIPT = 1;
const HAN = 2;
const KANA = 3;
const NON_ASCII = /[\u0080-\uffff]/;

let sharedScripts: Uint8Array | undefined;

/** Script index of each UTF-16 unit; built at first use. */
function scriptTable(): Uint8Array {
  if (sharedScripts === undefined) {
    sharedScripts = Uint8Array.from({ length: 0x1_0000 }, (_, unit) => {
      const character = String.fromCharCode(unit);
      return /\p{L}|\p{M}/u.test(character)
        ? Math.max(
            0,
            SCRIPTS.findIndex(({ pattern }) => pattern.test(character)),
          )
        : 0;
    });
  }
  return sharedScripts;
}

function traitsOf(
  traitsByLanguage: Readonly<Record<string, LanguageTraits>>,
  letterWeight: number,
  fallback: LanguageCode = "und",
): () => Traits {
  let built: Traits | undefined;
  return () => {
    built ??= {
      languages: Object.keys(traitsByLanguage),
      ...ownersOf(traitsByLanguage),
      letterWeight,
      fallback,
    };
    return built;
  };
}

function ownersOf(
  traitsByLanguage: Readonly<Record<string, LanguageTraits>>,
): Pick<Traits, "words" | "letters" | "wordFilter"> {
  const scanner = new WordScanner();
  const words = new Map<number, number[]>();
  const letters = new Map<number, number[]>();
  const own = (map: Map<number, number[]>, key: number, language: number) => {
    const owners = map.get(key) ?? [];
    if (!owners.includes(language)) map.set(key, [...owners, language]);
  };
  Object.values(traitsByLanguage).forEach((traits, language) => {
    scanner.reset();
    scanner.append(traits.words);
    for (const hash of scanner.hashes.subarray(0, scanner.count)) own(words, hash, language);
    for (const letter of traits.letters ?? "") own(letters, letter.charCodeAt(0), language);
  });
  const wordFilter = new Uint8Array(0x1_0000);
  for (const hash of words.keys()) wordFilter[hash >>> 16] = 1;
  return { words, letters, wordFilter };
}
