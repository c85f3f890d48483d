import { expect, test } from "vitest";
import { compileChatTemplate } from "./chat-template.js";
import { recogniseTuluTemplate, tuluTemplate } from "./tulu-template.js";

const TOKENS = { bosToken: "<s>", eosToken: "</s>", padToken: undefined, unkToken: undefined };
const compile = (source: string) => compileChatTemplate(source, TOKENS, "model");
const CHAT = [
  { role: "user", content: " Hi there " },
  { role: "assistant", content: "Hello!\n" },
  { role: "user", content: "Bye" },
];

test("the shipped template writes the Tülu layout", () => {
  const template = compile(tuluTemplate({ addsBos: true }));
  expect(template.render(CHAT.slice(0, 2))).toBe("<s><|user|>\nHi there\n<|assistant|>\nHello!</s>");
  expect(template.render(CHAT, { addGenerationPrompt: true })).toBe(
    "<s><|user|>\nHi there\n<|assistant|>\nHello!</s>\n<|user|>\nBye\n<|assistant|>\n",
  );
  expect(compile(tuluTemplate({ addsBos: false })).render(CHAT.slice(0, 1))).toBe("<|user|>\nHi there");
});

test("the shipped template is recognised whatever its line ends", () => {
  const source = tuluTemplate({ addsBos: true });
  expect(recogniseTuluTemplate(source.replaceAll("\n", "\r\n"))).toEqual({ addsBos: true });
  expect(recogniseTuluTemplate(`${tuluTemplate({ addsBos: false })}\n`)).toEqual({ addsBos: false });
  expect(recogniseTuluTemplate(source.replace("trim", "upper"))).toBeUndefined();
});

test("generation tags print marks where they stand, with their own white space control", () => {
  const source = "a\n{%- generation -%}\n{{ messages[0].content }} {% endgeneration %}\nb";
  const template = compile(source);
  expect(template.marksGeneration).toBe(true);
  expect(template.render(CHAT, { generationMarks: ["[", "]"] })).toBe("a[ Hi there  ]b");
  expect(template.render(CHAT)).toBe("a Hi there  b");
});

test("a template that is not Jinja says so", () => {
  expect(() => compile("{% for %}")).toThrow(
    expect.objectContaining({
      code: "ERR_CHAT_TEMPLATE",
      message: expect.stringContaining("not valid Jinja"),
    }),
  );
});

test("the exception that a template raises reaches the user", () => {
  const template = compile("{{ raise_exception('only one turn, please') }}");
  expect(() => template.render(CHAT)).toThrow(
    expect.objectContaining({
      code: "ERR_CHAT_TEMPLATE",
      message: expect.stringContaining("only one turn, please"),
    }),
  );
});
