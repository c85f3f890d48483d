/** Judge prompts come from the benchmarks' own files; here their placeholders are filled. */
import type { Message } from "../../data/conversation.js";
import { strip } from "../../data/python-text.js";

/**
 * Puts values in the place of `{name}`. In one pass: braces in a value, even `{output_2}`, stay what they are; so do braces
 * of the template around other words.
 */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

/** Names that a template wants to be filled. */
export function placeholders(template: string): string[] {
  return [...new Set([...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!))];
}

/**
 * Messages of a ChatML text, `<|im_start|>role` LF content `<|im_end|>`; contents are stripped.
 * @returns undefined when the text is no ChatML
 */
export function chatMl(text: string): Message[] | undefined {
  const parts = strip(text).split("<|im_start|>").slice(1);
  const messages = parts.map((part): Message | undefined => {
    const [, role, content] = /^(system|user|assistant)[ \t]*\n([\s\S]*?)<\|im_end\|>\s*$/.exec(part) ?? [];
    return role === undefined ? undefined : { role: role as Message["role"], content: strip(content!) };
  });
  return messages.length > 0 && messages.every((one) => one !== undefined) ? messages : undefined;
}
