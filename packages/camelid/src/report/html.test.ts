import { describe, expect, test } from "vitest";
import { type Html, html } from "./html.js";

const hostile = `<script>alert(1)</script>"'\`&`;

describe("values are escaped", () => {
  test("in text", () => {
    expect(String(html`<p>${hostile}</p>`)).toBe(
      "<p>&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&#96;&amp;</p>",
    );
  });

  test("in attributes of either kind of quotes", () => {
    expect(String(html`<p title="${hostile}" lang='${hostile}'>`)).not.toMatch(/<script|"'/);
  });

  test("in lists, while markup in the list stays markup", () => {
    expect(String(html`${["<", html`<b>${"&"}</b>`, 1, null, false, undefined]}`)).toBe("&lt;<b>&amp;</b>1");
  });

  test("a text that only looks like our markup class is escaped", () => {
    const fake = { toString: () => "<b>" } as unknown as Html;
    expect(() => html`${fake}`).toThrow("an html template was given object");
  });
});

describe("values where escaping is not enough are refused", () => {
  const x = "x";
  test.each([
    ["an unquoted attribute", () => html`<p title=${x}>`],
    ["an attribute name", () => html`<p ${x}="1">`],
    ["a tag name", () => html`<${x}>`],
    ["an event handler", () => html`<p onclick="${x}">`],
    ["an event handler, in capitals", () => html`<p ONCLICK="${x}">`],
    ["a script", () => html`<script>${x}</script>`],
    ["a style", () => html`<style>${x}</style>`],
    ["a comment", () => html`<!-- ${x} -->`],
    ["a whole inner page", () => html`<iframe srcdoc="${x}">`],
    ["markup inside an attribute", () => html`<p title="${html`<b>`}">`],
    ["a javascript address", () => html`<a href="${"javascript:alert(1)"}">`],
    ["a javascript address with a tab", () => html`<a href="${"java\tscript:alert(1)"}">`],
    ["an SVG in a data address", () => html`<img src="${"data:image/svg+xml,<svg onload=alert(1)>"}">`],
    ["a style that loads something", () => html`<p style="${"background:url(//x)"}">`],
  ])("%s", (_, render) => {
    expect(render).toThrow(expect.objectContaining({ code: "ERR_INTERNAL" }));
  });
});

test.each([
  "#top",
  "https://arxiv.org/abs/2311.10702",
  "final/model.safetensors",
  "data:image/png;base64,AAAA",
  "",
])("the address %s is allowed", (address) => {
  expect(String(html`<a href="${address}">x</a>`)).toBe(`<a href="${address}">x</a>`);
});

test("text after a script or a comment takes values again", () => {
  expect(String(html`<script>if (a < b) "</p>";</script><!-- <p> --><p>${"<"}</p>`)).toContain("<p>&lt;</p>");
});

test("a template is analysed once and gives the right result every time", () => {
  const row = (text: string, width: number) => html`<td style="width:${width}%">${text}</td>`;
  expect(String(html`${[row("a", 1), row("<", 2.5)]}`)).toBe(
    '<td style="width:1%">a</td><td style="width:2.5%">&lt;</td>',
  );
});
