import { expect, test } from "vitest";
import { withoutControls } from "./without-controls.js";

test("a terminal is not given orders by a model", () => {
  expect(withoutControls("\x1b]0;title\x07 red\x1b[31m \x9b2J back\r\b")).toBe(
    "\uFFFD]0;title\uFFFD red\uFFFD[31m \uFFFD2J back\uFFFD\uFFFD",
  );
});

test("text in any script keeps its lines and tabs", () => {
  const text = "骆驼\tعربي\n🐪 naïve\u00a0end";
  expect(withoutControls(text)).toBe(text);
});
