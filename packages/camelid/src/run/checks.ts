/** Checks of the installation, of a model, of rows: how each came out, and the table that people read. */

/** One thing that was looked at. */
export interface Check {
  name: string;
  /** `warn`: works, but something will be slow, missing or not as expected. `fail`: will not work. */
  status: "ok" | "warn" | "fail";
  /** What was found, one line. */
  detail: string;
  /** What to do about it; for `warn` and `fail`. */
  fix?: string;
}

export interface CheckSection {
  heading: string;
  checks: readonly Check[];
}

const width = 80;
const marks = { ok: "ok  ", warn: "warn", fail: "FAIL" };
const colours = { ok: 32, warn: 33, fail: 31 };

/**
 * Checks as one screen of text, at most 80 columns wide; long details go on under themselves.
 * @param colour green, yellow and red marks
 */
export function formatChecks(sections: readonly CheckSection[], { colour = false } = {}): string {
  const all = sections.flatMap(({ checks }) => checks);
  const mark = (status: Check["status"]) =>
    colour ? `\x1b[${colours[status]}m${marks[status]}\x1b[0m` : marks[status];
  const nameWidth = Math.max(...all.map(({ name }) => name.length));
  const indent = " ".repeat(2 + 4 + 2 + nameWidth + 2);
  const body = sections.flatMap(({ heading, checks }) => [
    heading,
    ...checks.flatMap(({ name, status, detail, fix }) => [
      `  ${mark(status)}  ${name.padEnd(nameWidth)}  ${wrap(detail, indent)}`,
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
