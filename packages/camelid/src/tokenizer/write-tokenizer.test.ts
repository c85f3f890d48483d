import { copyFile, mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { byteLevelTokenizer, LLAMA_FOLDER } from "../../../../tests/tokenizers.js";
import { renderConversation } from "../data/render.js";
import { loadTokenizer } from "./tokenizer.js";
import { effectiveChatTemplate, writeChatTemplate } from "./write-tokenizer.js";

test("a base without a template travels with the one it was trained in, and renders the same", async () => {
  const folder = await mkdtemp(join(tmpdir(), "camelid-folder-"));
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    await copyFile(join(LLAMA_FOLDER, name), join(folder, name));
  }
  const base = await loadTokenizer(LLAMA_FOLDER);
  expect(base.chatTemplate).toBeUndefined();
  await writeChatTemplate(folder, effectiveChatTemplate(base));
  const trained = await loadTokenizer(folder);
  expect(trained.bosToken).toBe("<s>");
  const messages = [
    { role: "user" as const, content: "Hi there" },
    { role: "assistant" as const, content: "Hello!" },
  ];
  const row = { dataset: "test", id: "test_0", messages };
  expect(await renderConversation(row, trained)).toEqual(await renderConversation(row, base));
});

test("both dialects find the template, transformers 4 inside the configuration", async () => {
  const tokenizer = await byteLevelTokenizer({ eosToken: "</s>", chatTemplate: "{{ messages }}" });
  const read = (name: string) => readFile(join(tokenizer.folder, name), "utf8");
  expect(await read("chat_template.jinja")).toBe("{{ messages }}");
  expect(JSON.parse(await read("tokenizer_config.json"))).toMatchObject({
    chat_template: "{{ messages }}",
    eos_token: "</s>",
    tokenizer_class: "PreTrainedTokenizerFast",
  });
  expect(effectiveChatTemplate(tokenizer)).toBe("{{ messages }}");
});
