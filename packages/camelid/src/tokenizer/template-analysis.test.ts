import { Template } from "@huggingface/jinja";
import { describe, expect, test } from "vitest";
import { copiesContents } from "./template-analysis.js";
import { tuluTemplate } from "./tulu-template.js";

const analyse = (source: string): boolean => copiesContents(new Template(source).parsed);
const loop = (body: string): string => `{% for m in messages %}${body}{% endfor %}`;

describe("templates that only copy", () => {
  test.each([
    tuluTemplate({ addsBos: true }),
    loop("{{ '<|' + m.role + '|>' + m['content'] + eos_token }}"),
    loop("{{ m.role ~ m.content.strip() ~ '\\n' }}{% if loop.last %}{{ eos_token }}{% endif %}"),
    loop(
      "{% set text = 'a' + m['content'] | trim + 'b' %}{% if loop.first %}{% set text = bos_token + text %}{% endif %}{{ text }}",
    ),
    `{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{{ messages[0].content }}{% endif %}`,
    loop("{% if m.content is string and m.tool_calls is not defined %}{{ m.content }}{% endif %}"),
    loop("{% if 'tool_calls' in m %}{{ raise_exception('no tools') }}{% endif %}{{ m.get('content') }}"),
    loop("{% if loop.previtem and loop.previtem.role == m.role %}x{% endif %}{{ m.content }}"),
    loop("{{ messages[loop.index0 - 1].role }}{{ m.content if m.role == 'user' else '' }}"),
    `{% set ns = namespace(n=0) %}${loop("{% set ns.n = ns.n + 1 %}{{ ns.n ~ m.content }}")}`,
    `{% if messages | length > 2 %}{{ (messages | last).content }}{% endif %}`,
  ])("%s", (source) => {
    expect(analyse(source)).toBe(true);
  });
});

describe("templates that look into contents", () => {
  test.each([
    loop("{% if '</think>' in m.content %}x{% endif %}"),
    loop("{% if m.content %}{{ m.content }}{% endif %}"),
    loop("{% if not m['content'] %}x{% endif %}"),
    loop("{{ m.content | upper }}"),
    loop("{{ m.content | length }}"),
    loop("{{ m.content.split('x')[0] }}"),
    loop("{{ m.content[0] }}"),
    loop("{{ m.content or 'nothing' }}"),
    loop("{{ 'x' if m.content == 'y' else 'z' }}"),
    // The trim would take the template's own space when the content is empty.
    loop("{{ ('User: ' + m.content) | trim }}"),
    loop("{% set text = m.content %}{% if text == '' %}x{% endif %}"),
    // The looking comes first, the content arrives by a later turn of the loop.
    `{% set seen = '' %}${loop("{% if seen == 'x' %}y{% endif %}{% set seen = m.content %}")}`,
    `{% set ns = namespace(last='') %}${loop("{% if ns.last == 'x' %}y{% endif %}{% set ns.last = m.content %}")}`,
    loop("{{ m | tojson }}"),
    loop("{{ m }}"),
    loop("{% for letter in m.content %}{{ letter }}{% endfor %}"),
    loop("{% set key = 'content' %}{{ m[key] }}"),
    `{% macro show(text) %}{{ text }}{% endmacro %}${loop("{{ show(m.content) }}")}`,
    `${loop("{{ m.content }}")}{{ strftime_now('%Y') }}`,
  ])("%s", (source) => {
    expect(analyse(source)).toBe(false);
  });
});
