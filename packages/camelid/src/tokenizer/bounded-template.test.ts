import { Template } from "@huggingface/jinja";
import { describe, expect, test } from "vitest";
import { runBounded } from "./bounded-template.js";
import { compileChatTemplate } from "./chat-template.js";

const MESSAGES = [
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Hello" },
];
const NO_TOKENS = { bosToken: undefined, eosToken: undefined, padToken: undefined, unkToken: undefined };

describe("a template that would not end", () => {
  test.each([
    ["one loop over many numbers", "{% for i in range(1000000000000) %}x{% endfor %}"],
    ["loops in loops", `${"{% for i in range(99999) %}".repeat(4)}x${"{% endfor %}".repeat(4)}`],
    ["empty loops in loops", `${"{% for i in range(99999) %}".repeat(4)}${"{% endfor %}".repeat(4)}`],
    [
      "loops over a list of its own",
      "{% set r = range(99999) %}{% for i in r %}{% for j in r %}{% endfor %}{% endfor %}",
    ],
    ["a macro that calls itself", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"],
    [
      "a macro that calls itself twice",
      "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    ],
    [
      "a text that doubles",
      "{% set ns = namespace(t='x') %}{% for i in range(64) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
    ],
    ["a long text again and again", `{% for i in range(99999) %}${"y".repeat(1000)}{% endfor %}`],
    ["numbers backwards", "{% for i in range(0, -1000000000000, -1) %}x{% endfor %}"],
  ])("%s is refused within seconds", (_name, source) => {
    const template = compileChatTemplate(source, NO_TOKENS, "model folder");
    const started = performance.now();
    expect(() => template.render(MESSAGES)).toThrow(
      expect.objectContaining({ code: "ERR_CHAT_TEMPLATE", where: "model folder" }),
    );
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

test.each([
  "{% for i in range(3) %}{{ i }}{% endfor %}",
  "{% for i in range(2, 9, 3) %}{{ i }},{% endfor %}{{ range(0) | length }}",
  "{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}",
  "{{ strftime_now('%Y') }}{{ True }}{{ none }}{{ missing }}",
  "{% for m in messages %}{{ m.role | upper }}: {{ m['content'] | trim }}\n{% endfor %}",
  "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
])("%s gives what the library gives", (source) => {
  const template = new Template(source);
  expect(runBounded(template.parsed, { messages: MESSAGES })).toBe(template.render({ messages: MESSAGES }));
});

test("a conversation of ten thousand long messages is no loop", () => {
  const messages = Array.from({ length: 10_000 }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant",
    content: "word ".repeat(100),
  }));
  const template = compileChatTemplate(
    "{% for m in messages %}{% if m.role == 'user' %}<u>{{ m.content | trim }}{% else %}<a>{{ m.content }}</s>{% endif %}{% endfor %}",
    NO_TOKENS,
    "model",
  );
  expect(template.render(messages).length).toBeGreaterThan(5_000_000);
});
