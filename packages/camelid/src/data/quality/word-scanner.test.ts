import { describe, expect, it } from "vitest";
import { WordScanner, wordHash } from "./word-scanner.js";

function words(text: string): string[] {
  const scanner = new WordScanner();
  const normal = scanner.append(text);
  return Array.from({ length: scanner.count }, (_, i) => normal.slice(scanner.starts[i], scanner.ends[i]));
}
function hashes(...texts: string[]): number[] {
  const scanner = new WordScanner();
  for (const text of texts) scanner.append(text);
  return [...scanner.hashes.subarray(0, scanner.count)];
}

describe("the word scanner", () => {
  it("finds runs of letters, marks and digits", () => {
    expect(words("It's 48/2 = <<24>>, naïve_café!")).toEqual(["It", "s", "48", "2", "24", "naïve", "café"]);
    expect(words("হিন্দী தமிழ் العربية")).toEqual(["হিন্দী", "தமிழ்", "العربية"]);
    expect(words("last")).toEqual(["last"]);
    expect(words(" \n.,;\u0000")).toEqual([]);
    expect(words("")).toEqual([]);
  });

  it("makes one word per letter where a script has no spaces", () => {
    expect(words("日本語 text")).toEqual(["日", "本", "語", "text"]);
    expect(words("abcขค1")).toEqual(["abc", "ข", "ค", "1"]);
    expect(words("한국어 말")).toEqual(["한국어", "말"]);
  });

  it("counts emoji and letters beyond the basic plane as words, lone surrogates too", () => {
    expect(words("a 🙂👍 b")).toEqual(["a", "🙂👍", "b"]);
    expect(words("\ud83d x")).toEqual(["\ud83d", "x"]);
  });

  it("hashes without regard to case, composition and surroundings", () => {
    expect(hashes("Straße ÉCOLE")).toEqual(hashes("(straße), école"));
    expect(hashes("e\u0301cole")).toEqual(hashes("école"));
    expect(hashes("one two", "three")).toEqual(hashes("one two three"));
    expect(hashes("word")).toEqual([wordHash("WORD")]);
    expect(hashes("日")).toEqual([wordHash("日")]);
    expect(hashes("ab c")).not.toEqual(hashes("a bc"));
  });

  it("gives places in the normalised text", () => {
    const scanner = new WordScanner();
    const normal = scanner.append("e\u0301a  b");
    expect(normal).toBe("éa  b");
    expect([...scanner.starts.subarray(0, 2)]).toEqual([0, 4]);
    expect([...scanner.ends.subarray(0, 2)]).toEqual([2, 5]);
  });

  it("keeps words found before when its buffers grow", () => {
    const scanner = new WordScanner();
    scanner.append("first");
    scanner.append("x ".repeat(200_000));
    expect(scanner.count).toBe(200_001);
    expect(scanner.hashes[0]).toBe(wordHash("first"));
    expect(scanner.hashes[200_000]).toBe(wordHash("x"));
  });

  it("stops after the units asked for", () => {
    const scanner = new WordScanner();
    scanner.append("abc def ghi", 6);
    expect(scanner.count).toBe(2);
    expect(scanner.ends[1]).toBe(6);
  });
});
