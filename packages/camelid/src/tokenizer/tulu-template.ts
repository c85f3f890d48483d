/**
 * The chat layout of Tülu 2: role markers are ordinary text, the answer ends with EOS, the text ends with that EOS.
 *
 *     <|user|>
 *     Hi there
 *     <|assistant|>
 *     Hello!</s>
 *
 * As a Jinja text it travels with every model trained in this layout, so other software renders the same prompts. It
 * emits BOS where the model uses one, because `apply_chat_template` of transformers adds none; our renderer makes sure
 * that there is exactly one.
 */
export function tuluTemplate({ addsBos }: { addsBos: boolean }): string {
  return addsBos ? BOS_LINES + TURNS : TURNS;
}

/** Which of the two shipped templates a folder carries, whatever happened to its line ends. */
export function recogniseTuluTemplate(source: string): { addsBos: boolean } | undefined {
  const text = source.replaceAll("\r\n", "\n").trim();
  return [{ addsBos: true }, { addsBos: false }].find((kind) => tuluTemplate(kind).trim() === text);
}

const BOS_LINES = `{%- if bos_token is defined and bos_token -%}
{{- bos_token -}}
{%- endif -%}
`;

const TURNS = `{%- for message in messages -%}
{%- if message['role'] == 'system' or message['role'] == 'user' -%}
{{- '<|' + message['role'] + '|>\\n' + message['content'] | trim -}}
{%- elif message['role'] == 'assistant' -%}
{{- '<|assistant|>\\n' + message['content'] | trim + eos_token -}}
{%- else -%}
{{- raise_exception('unknown role: ' + message['role']) -}}
{%- endif -%}
{%- if not loop.last or add_generation_prompt -%}
{{- '\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>\\n' -}}
{%- endif -%}
`;
