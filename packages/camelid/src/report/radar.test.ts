import { expect, test } from "vitest";
import { radar } from "./radar.js";

const text = (...values: (number | undefined)[]) =>
  radar({
    title: "Scores",
    axes: values.map((_, i) => `axis ${i}`),
    series: [{ name: "<b>one", values, main: true }],
  }).toString();

test("values stand on their axes, the first one up, clockwise", () => {
  const [shape] = /class="shape main c1" d="([^"]+)"/.exec(text(100, 50, 0, 25))!.slice(1);
  expect(shape).toBe("M0 -100L50 0L0 0L-25 0Z");
});

test("a value that is not there is a gap, one above the rim stays on it", () => {
  const [shape] = /class="shape main c1" d="([^"]+)"/.exec(text(200, undefined, 50, 50))!.slice(1);
  expect(shape).toBe("M-50 0L0 -100M0 50M0 50L-50 0");
  expect(text(200, undefined, 50, 50).match(/<circle/g)).toHaveLength(3);
});

test("the drawing says in words what it shows, and names stay text", () => {
  const markup = text(1, 2, 3);
  expect(markup).toContain("&lt;b&gt;one: axis 0 1, axis 1 2, axis 2 3");
  expect(markup).not.toContain("<b>one");
});
