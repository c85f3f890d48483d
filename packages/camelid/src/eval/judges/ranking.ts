/**
 * The answer of AlpacaEval's judge: a Python list of dicts `{'model': ..., 'rank': ...}`, and nothing else around it. It is
 * read as a literal, never evaluated.
 */

/** @returns rank 1 or 2 of `model`, or undefined when the text is not such a list */
export function rankOf(text: string, model: string): 1 | 2 | undefined {
  const list = parseLiteral(text);
  if (!Array.isArray(list)) return undefined;
  const found = list.find((entry) => entry instanceof Map && entry.get("model") === model) as
    | Map<Literal, Literal>
    | undefined;
  const rank = found?.get("rank");
  return rank === 1 || rank === 2 ? rank : undefined;
}

type Literal = string | number | boolean | null | Literal[] | Map<Literal, Literal>;

/** Python's literals as far as a judge writes them: lists, tuples, dicts, texts, numbers, True, False, None. */
export function parseLiteral(text: string): Literal | undefined {
  const source = text.trim();
  let at = 0;
  const space = () => {
    while (at < source.length && /\s/.test(source[at]!)) at++;
  };
  const take = (token: string): boolean => {
    space();
    if (!source.startsWith(token, at)) return false;
    at += token.length;
    return true;
  };
  const expect = (token: string) => {
    if (!take(token)) throw new SyntaxError(`expected ${token}`);
  };

  function items<T>(close: string, one: () => T): T[] {
    const all: T[] = [];
    while (!take(close)) {
      all.push(one());
      if (!take(",")) {
        expect(close);
        break;
      }
    }
    return all;
  }

  function value(): Literal {
    if (take("[")) return items("]", value);
    if (take("(")) return items(")", value);
    if (take("{")) {
      const pairs = items("}", (): [Literal, Literal] => {
        const key = value();
        expect(":");
        return [key, value()];
      });
      return new Map(pairs);
    }
    for (const [word, meaning] of WORDS) if (take(word)) return meaning;
    space();
    const [number] = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?/.exec(source.slice(at)) ?? [];
    if (number !== undefined) {
      at += number.length;
      return Number(number);
    }
    const [quoted, single, double] =
      /^(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)")/.exec(source.slice(at)) ?? [];
    if (quoted === undefined) throw new SyntaxError("expected a literal");
    at += quoted.length;
    return (single ?? double)!.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter);
  }

  try {
    const result = value();
    space();
    return at === source.length ? result : undefined;
  } catch {
    return undefined;
  }
}

const WORDS: readonly (readonly [string, Literal])[] = [
  ["True", true],
  ["False", false],
  ["None", null],
];
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
