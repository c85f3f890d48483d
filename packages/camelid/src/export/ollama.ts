/** The Modelfile that Ollama builds a model from: which GGUF, which prompt layout, where answers end. */
import { compileChatTemplate } from "../tokenizer/chat-template.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { effectiveChatTemplate } from "../tokenizer/write-tokenizer.js";

/** What a template puts around the contents of each role. */
interface Layout {
  /** Before the content of the first message, whatever its role. */
  opening: string;
  system: { before: string; after: string } | undefined;
  /** `after` goes up to the assistant's content. */
  user: { before: string; after: string };
  assistant: { after: string };
}

/** @param context tokens that the model can take */
export function modelfile(
  gguf: string,
  tokenizer: Tokenizer,
  context: number,
  stopIds: readonly number[],
): string {
  const layout = readLayout(tokenizer);
  const stops = new Set([tokenizer.eosToken, ...stopIds.map((id) => tokenizer.idToToken(id))]);
  const template =
    layout === undefined
      ? [
          "# The chat template is not a plain sequence of turns; Ollama takes it from the GGUF file if it knows it.",
        ]
      : [`TEMPLATE """${goTemplate(layout)}"""`];
  return [
    `FROM ./${gguf}`,
    ...template,
    `PARAMETER num_ctx ${Math.min(context, 8192)}`,
    ...[...stops].flatMap((stop) => (stop === undefined ? [] : [`PARAMETER stop ${JSON.stringify(stop)}`])),
    "",
  ].join("\n");
}

/** Whether the Modelfile carries the trained layout. */
export function hasPlainLayout(tokenizer: Tokenizer): boolean {
  return readLayout(tokenizer) !== undefined;
}

function goTemplate({ opening, system, user, assistant }: Layout): string {
  const branch = (role: string, text: string) => `if eq .Role "${role}" }}${text}{{ `;
  const turns = [
    ...(system === undefined ? [] : [branch("system", `${system.before}{{ .Content }}${system.after}`)]),
    branch("user", `${user.before}{{ .Content }}${user.after}`),
    branch("assistant", `{{ .Content }}${assistant.after}`),
  ];
  return `${opening}{{ range .Messages }}{{ ${turns.join("else ")}end }}{{ end }}`;
}

/**
 * Found out by rendering, and proven by rendering a longer conversation from what was found.
 * @returns undefined when the text around contents does not depend on the roles alone
 */
function readLayout(tokenizer: Tokenizer): Layout | undefined {
  const template = compileChatTemplate(effectiveChatTemplate(tokenizer), tokenizer, tokenizer.folder);
  if (!template.copiesContents) return undefined;
  const render = (roles: readonly string[]): string[] | undefined => {
    try {
      const messages = roles.map((role, i) => ({ role, content: `(${i})` }));
      const text = template.render(messages, { addGenerationPrompt: true });
      return pieces(text, roles.length);
    } catch {
      return undefined; // the template refuses these roles
    }
  };
  const one = render(["user"]);
  const three = render(["user", "assistant", "user"]);
  if (one === undefined || three === undefined) return undefined;
  // Ollama puts the BOS in front by itself, as the file tells it to.
  const bos =
    tokenizer.addsBos && one[0]!.startsWith(tokenizer.bosToken ?? "") ? (tokenizer.bosToken ?? "") : "";
  const first = one[0]!.slice(bos.length);
  const after = one[1]!;
  // The text before a later question ends the answer and begins the question: the part that also begins the text is the question's.
  const shared = commonEnd(first, three[2]!);
  const layout: Layout = {
    opening: first.slice(0, first.length - shared.length),
    system: undefined,
    user: { before: shared, after },
    assistant: { after: three[2]!.slice(0, three[2]!.length - shared.length) },
  };
  const withSystem = render(["system", "user"]);
  if (withSystem !== undefined && withSystem[1]!.endsWith(shared)) {
    const before = withSystem[0]!.slice(bos.length);
    if (before.startsWith(layout.opening)) {
      layout.system = {
        before: before.slice(layout.opening.length),
        after: withSystem[1]!.slice(0, withSystem[1]!.length - shared.length),
      };
    }
  }
  const roles = [
    ...(layout.system === undefined ? [] : ["system"]),
    "user",
    "assistant",
    "user",
    "assistant",
    "user",
  ];
  const texts = [
    layout.opening,
    layout.user.before,
    after,
    layout.assistant.after,
    ...Object.values(layout.system ?? {}),
  ];
  const isWritable = texts.every((text) => !/\{\{|\}\}|"""/.test(text));
  const isProven = render(roles)?.join("\0") === simulate(layout, roles, bos).join("\0");
  return isWritable && isProven ? layout : undefined;
}

/** Texts around the contents `(0)`, `(1)`, ... */
function pieces(text: string, count: number): string[] | undefined {
  const found: string[] = [];
  let rest = text;
  for (let i = 0; i < count; i++) {
    const [before, ...after] = rest.split(`(${i})`);
    if (after.length !== 1) return undefined;
    found.push(before!);
    rest = after[0]!;
  }
  return [...found, rest];
}

function simulate(layout: Layout, roles: readonly string[], bos: string): string[] {
  const found = [bos + layout.opening];
  for (const role of roles) {
    const turn =
      role === "system"
        ? layout.system!
        : role === "user"
          ? layout.user
          : { before: "", ...layout.assistant };
    found[found.length - 1] += turn.before;
    found.push(turn.after);
  }
  return found;
}

function commonEnd(a: string, b: string): string {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length++;
  return a.slice(a.length - length);
}
