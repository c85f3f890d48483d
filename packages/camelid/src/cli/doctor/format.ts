import type { Check } from "./check.js";

const width = 80;
const marks = { ok: "ok  ", warn: "warn", fail: "FAIL" };

/** Checks as one screen of text, at most 80 columns wide; long details go on under themselves. */
export function formatChecks(sections: readonly { heading: string; checks: readonly Check[] }[]): string {
  const all = sections.flatMap(({ checks }) => checks);
  const nameWidth = Math.max(...all.map(({ name }) => name.length));
  const indent = " ".repeat(2 + 4 + 2 + nameWidth + 2);
  const body = sections.flatMap(({ heading, checks }) => [
    heading,
    ...checks.flatMap(({ name, status, detail, fix }) => [
      `  ${marks[status]}  ${name.padEnd(nameWidth)}  ${wrap(detail, indent)}`,
      ...(fix === undefined ? [] : [`${indent}${wrap(`-> ${fix}`, `${indent}   `)}`]),
    ]),
    "",
  ]);
  return `${[...body, verdict(all)].join("\n")}\n`;
}

function verdict(checks: readonly Check[]): string {
  const count = (status: Check["status"]) => checks.filter((check) => check.status === status).length;
  const [warnings, failures] = [count("warn"), count("fail")];
  if (failures > 0) return `${failures} of ${checks.length} checks failed; each says above how to fix it.`;
  return warnings > 0 ? `Ready, with ${warnings} thing${warnings === 1 ? "" : "s"} to know.` : "Ready.";
}

/** Breaks at spaces; a word longer than a line (a path) is broken where the line ends. */
function wrap(text: string, indent: string): string {
  const room = width - indent.length;
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    let rest = word;
    if (line !== "" && line.length + 1 + rest.length <= room) line += ` ${rest}`;
    else {
      if (line !== "") lines.push(line);
      for (; rest.length > room; rest = rest.slice(room)) lines.push(rest.slice(0, room));
      line = rest;
    }
  }
  return [...lines, line].join(`\n${indent}`);
}
