import { expect, test } from "vitest";
import { itemBrowser } from "./item-browser.js";

const page = itemBrowser({
  name: "gsm8k",
  counts: { right: 1500, wrong: 1, failed: 0, skipped: 0 },
  labels: { right: "gained" },
  items: [
    { id: "1", verdict: "right", facts: "7", texts: [{ name: "output", text: "<img src=x>" }] },
    { id: "2", verdict: "wrong", facts: "8", flags: ["cut"], texts: [] },
  ],
}).toString();

test("there is a choice for every verdict that occurs, with its count and word", () => {
  expect([...page.matchAll(/value="(\w+)"/g)].map(([, value]) => value)).toEqual(["all", "right", "wrong"]);
  expect(page).toContain("gained <small>1,500</small>");
  expect(page).toContain("all <small>1,501</small>");
});

test("an item carries its verdict for the filter, its flags, and its texts as text", () => {
  expect(page).toMatch(/<details class="wrong">.*<code>2<\/code>.*<em>cut<\/em>/);
  expect(page).toContain("&lt;img src=x&gt;");
  expect(page).not.toContain("<img");
});
