import { describe, expect, it } from "vitest";
import { conversation } from "../../../../../tests/quality-rows.js";
import type { Conversation } from "../conversation.js";
import { ContentHasher, type Normalization } from "./content-hash.js";
import { ContentSet } from "./content-set.js";

function key(turns: string | string[], normalization: Normalization = "whitespace"): string {
  const hasher = new ContentHasher(normalization);
  hasher.update(conversation(turns).messages);
  return hasher.toString();
}

describe("the content hash", () => {
  it("ignores white space, composition and case only as asked", () => {
    expect(key("  a\t b\n", "whitespace")).toBe(key("a b", "whitespace"));
    expect(key("a\u3000\u00a0b", "whitespace")).toBe(key("a b", "whitespace"));
    expect(key("a b", "none")).not.toBe(key("a  b", "none"));
    expect(key("e\u0301", "whitespace")).toBe(key("é", "whitespace"));
    expect(key("e\u0301", "none")).not.toBe(key("é", "none"));
    expect(key("ÀB", "case")).toBe(key("àb", "case"));
    expect(key("ÀB", "whitespace")).not.toBe(key("àb", "whitespace"));
    expect(key("a.b", "case")).not.toBe(key("a b", "case"));
  });

  it("tells turns apart: text cannot imitate a boundary, roles and order count", () => {
    const variants = [
      ["ab"],
      ["a", "b"],
      ["b", "a"],
      ["a b"],
      ["", "ab"],
      ["ab", ""],
      ["a", "", "b"],
      ["a\0b"],
      ["a\0"],
    ];
    expect(new Set(variants.map((turns) => key(turns, "none"))).size).toBe(variants.length);
    const hasher = new ContentHasher("none");
    const as = (role: Conversation["messages"][number]["role"]) => {
      hasher.update([{ role, content: "hello" }]);
      return hasher.toString();
    };
    expect(new Set([as("system"), as("user"), as("assistant")]).size).toBe(3);
  });

  it("says when nothing is left to compare", () => {
    const hasher = new ContentHasher("whitespace");
    expect(hasher.update([])).toBe(false);
    expect(hasher.update(conversation([" \n", ""]).messages)).toBe(false);
    expect(hasher.update(conversation(["", "x"]).messages)).toBe(true);
  });

  it("does not depend on what was hashed before, however long", () => {
    const hasher = new ContentHasher("whitespace");
    const after = (...texts: string[]) => {
      for (const text of texts) hasher.update(conversation(text).messages);
      return hasher.toString();
    };
    const alone = key("short");
    expect(after("x".repeat(100_000), "short")).toBe(alone);
    expect(after("y ".repeat(1_000_000), "short")).toBe(alone);
  });

  it("has no collision over texts of every length that differ in one unit", () => {
    const keys = new Set<string>();
    for (let length = 1; length <= 64; length++) {
      for (let at = 0; at < length; at++)
        keys.add(key(`${"a".repeat(at)}b${"a".repeat(length - at - 1)}`, "none"));
      keys.add(key("a".repeat(length), "none"));
    }
    expect(keys.size).toBe((64 * 65) / 2 + 64);
  });

  it("flips about half of all bits when one bit of the text changes", () => {
    const hasher = new ContentHasher("none");
    let flipped = 0;
    const trials = 200;
    for (let i = 0; i < trials; i++) {
      const text = `row number ${i} of a test about hashing`;
      hasher.update(conversation(text).messages);
      const before = Uint32Array.from(hasher.hash);
      hasher.update(conversation(text.replace("o", "n")).messages);
      hasher.hash.forEach((word, lane) => {
        for (let x = (word ^ before[lane]!) >>> 0; x !== 0; x &= x - 1) flipped++;
      });
    }
    expect(flipped / trials / 128).toBeGreaterThan(0.48);
    expect(flipped / trials / 128).toBeLessThan(0.52);
  });
});

describe("the content set", () => {
  it("numbers distinct hashes in order and finds each again after growing", () => {
    const set = new ContentSet();
    // Equal in the word that picks the slot: probing must tell them apart.
    const hash = (i: number) => Uint32Array.of(i % 7, i, 1, 2);
    for (let i = 0; i < 5000; i++) expect(set.add(hash(i))).toBe(i);
    for (let i = 0; i < 5000; i++) expect(set.add(hash(i))).toBe(i);
    expect(set.size).toBe(5000);
  });

  it("compares all 128 bits", () => {
    const set = new ContentSet();
    // The first with no lane changed, the others with one.
    const entries = [-1, 0, 1, 2, 3].map((changed) =>
      set.add(Uint32Array.of(9, 9, 9, 9).map((word, lane) => (lane === changed ? 8 : word))),
    );
    expect(entries).toEqual([0, 1, 2, 3, 4]);
  });
});
