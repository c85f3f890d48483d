import { Template } from "@huggingface/jinja";
import { DataError } from "../errors.js";
import { runBounded } from "./bounded-template.js";
import { copiesContents } from "./template-analysis.js";

/** One message as templates see it. */
interface TemplateMessage {
  readonly role: string;
  readonly content: string;
}

interface RenderTemplateOptions {
  /** End with the header of an assistant turn, ready for the model to answer. */
  addGenerationPrompt?: boolean;
  /** Characters to print where `{% generation %}` and `{% endgeneration %}` stand. */
  generationMarks?: readonly [start: string, end: string];
}

/** The names a template may use besides `messages`; undefined ones print nothing, as in transformers. */
export interface TemplateTokens {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly padToken: string | undefined;
  readonly unkToken: string | undefined;
}

export interface ChatTemplate {
  readonly source: string;
  /** The template marks what the model itself writes, with transformers' `{% generation %}` tags. */
  readonly marksGeneration: boolean;
  /** The text between contents depends on the roles alone (see `copiesContents`). */
  readonly copiesContents: boolean;
  /** @throws {DataError} ERR_CHAT_TEMPLATE when the template raises an exception for these messages, or does not end */
  render(messages: readonly TemplateMessage[], options?: RenderTemplateOptions): string;
}

const GENERATION_TAG = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;

/**
 * Compiles a Hugging Face chat template.
 * @throws {DataError} ERR_CHAT_TEMPLATE when it is not valid Jinja
 */
export function compileChatTemplate(source: string, tokens: TemplateTokens, where: string): ChatTemplate {
  const marksGeneration = source.search(GENERATION_TAG) >= 0;
  const compiled = attempt("is not valid Jinja", where, () => new Template(withVisibleMarks(source)));
  const variables = definedOnly({
    bos_token: tokens.bosToken,
    eos_token: tokens.eosToken,
    pad_token: tokens.padToken,
    unk_token: tokens.unkToken,
  });
  return {
    source,
    marksGeneration,
    copiesContents: copiesContents(compiled.parsed),
    render(messages, { addGenerationPrompt = false, generationMarks = ["", ""] } = {}) {
      return attempt("rejects the conversation", where, () =>
        runBounded(compiled.parsed, {
          ...variables,
          messages,
          tools: null,
          documents: null,
          add_generation_prompt: addGenerationPrompt,
          camelid_generation_start: generationMarks[0],
          camelid_generation_end: generationMarks[1],
        }),
      );
    },
  };
}

/** The Jinja library drops generation tags; a statement that prints a mark keeps the tag's own white space control. */
function withVisibleMarks(source: string): string {
  return source.replace(
    GENERATION_TAG,
    (_, left: string, end: string | undefined, right: string) =>
      `{%${left} if true %}{{ camelid_generation_${end === undefined ? "start" : "end"} }}{% endif ${right}%}`,
  );
}

function attempt<T>(problem: string, where: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new DataError("ERR_CHAT_TEMPLATE", `the chat template ${problem}: ${(cause as Error).message}.`, {
      where,
      fix: "correct the template, or use one that fits these conversations.",
      cause,
    });
  }
}

function definedOnly(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
