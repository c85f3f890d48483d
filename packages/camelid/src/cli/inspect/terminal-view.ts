import { type InspectedRow, type InspectedToken, type TokenRun, tokenRuns } from "../../data/inspect.js";
import type { SegmentRole } from "../../data/segments.js";
import { columnsOf, cutColumns } from "./columns.js";

export interface TerminalViewOptions {
  colour: boolean;
  /** Lines of a row before the rest is only counted. */
  maxLines: number;
}

/**
 * A row as a terminal shows it, at most 80 columns wide: one block per run of tokens that are alike, its role in the
 * margin, a bar where the tokens carry loss. Tokens are set apart by thin lines, so that the text reads on.
 *
 *     template     <s>│ <│|│user│|│>│↵
 *     user         Hi│ there
 *     assistant  ┃ Hello│!
 */
export function terminalView(row: InspectedRow, { colour, maxLines }: TerminalViewOptions): string {
  const lines = tokenRuns(row.tokens).flatMap((run) => runLines(run, colour));
  const shown = lines.slice(0, maxLines);
  const rest = lines.slice(maxLines).reduce((sum, line) => sum + line.tokens, 0);
  return [
    paint(rowHeading(row), "1", colour),
    ...shown.map((line) => line.text),
    ...(rest > 0 ? [`${" ".repeat(MARGIN)}... ${rest} more tokens (--full shows them)`] : []),
    "",
  ].join("\n");
}

/** What the margin, the bar and the marks mean; once above the rows. */
export function terminalLegend(colour: boolean): string {
  const roles = (["system", "user", "assistant", "template"] as const).map((role) =>
    paint(role, COLOUR[role], colour),
  );
  return [
    `${roles.join("  ")}   ${BAR} carries loss`,
    "│ token border   ↵ line feed   → tab   ⋯ part of the character that follows",
    "",
  ].join("\n");
}

interface ViewLine {
  text: string;
  columns: number;
  /** Tokens that begin on this line. */
  tokens: number;
}

function runLines(run: TokenRun, colour: boolean): ViewLine[] {
  const lines: ViewLine[] = [{ text: "", columns: 0, tokens: 0 }];
  const startLine = () => lines.push({ text: "", columns: 0, tokens: 0 });
  for (const [index, token] of run.tokens.entries()) {
    const text = visible(token);
    if (index > 0 && lines.at(-1)!.columns > 0) {
      const fits = lines.at(-1)!.columns + columnsOf(text) + 2 <= ROOM;
      append(lines.at(-1)!, "│", "2", colour);
      if (!fits) startLine();
    }
    lines.at(-1)!.tokens++;
    for (const [part, piece] of cutColumns(text, ROOM - 1).entries()) {
      if (part > 0) startLine();
      append(lines.at(-1)!, piece, style(run, token), colour);
    }
    // The text breaks where the file breaks, as long as something follows in this run.
    if (token.text.endsWith("\n") && index + 1 < run.tokens.length) startLine();
  }
  return lines.map((line, index) => {
    const role = paint((index === 0 ? run.role : "").padEnd(MARGIN - 3), COLOUR[run.role], colour);
    return { ...line, text: `${role} ${run.trained ? BAR : " "} ${line.text}` };
  });
}

function append(line: ViewLine, text: string, codes: string, colour: boolean): void {
  line.text += paint(text, codes, colour);
  line.columns += columnsOf(text);
}

function rowHeading({
  number,
  dataset,
  id,
  tokens,
  trainedTokens,
  tokensCut,
  answersLost,
}: InspectedRow): string {
  const share = tokens.length === 0 ? 0 : Math.round((100 * trainedTokens) / tokens.length);
  const cut = tokensCut === 0 ? "" : `, ${tokensCut} tokens cut`;
  const lost = answersLost === 0 ? "" : `, ${answersLost} answers lost`;
  const facts = `${tokens.length} tokens, ${trainedTokens} trained (${share} %)${cut}${lost}`;
  const name = `row ${number}  ${id}  ${dataset}`.slice(0, WIDTH);
  return name.length + facts.length + 3 <= WIDTH ? `${name}   ${facts}` : `${name}\n${" ".repeat(4)}${facts}`;
}

/** White space that would be lost on a terminal becomes a mark; control characters cannot reach it. */
function visible({ text }: InspectedToken): string {
  if (text.length === 0) return "⋯";
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    if (character === "\n") return "↵";
    if (character === "\t") return "→";
    if (character === "\u200d") return character; // joins emoji
    return `⟨${character.codePointAt(0)!.toString(16).toUpperCase().padStart(2, "0")}⟩`;
  });
}

const WIDTH = 80;
const MARGIN = 13;
/** Columns for text; one is kept for the border behind the last token of a line. */
const ROOM = WIDTH - MARGIN;
const BAR = "┃";
const COLOUR: Record<SegmentRole, string> = { system: "33", user: "36", assistant: "32", template: "90" };

function style({ role, trained }: TokenRun, { special }: InspectedToken): string {
  return [COLOUR[role], ...(trained ? ["1"] : []), ...(special ? ["7"] : [])].join(";");
}

function paint(text: string, codes: string, colour: boolean): string {
  return colour && text.length > 0 ? `\u001b[${codes}m${text}\u001b[0m` : text;
}

/** One finding of the checks, wrapped to the width of the screen. */
export function findingLine({ status, text }: { status: "ok" | "warn" | "bad"; text: string }): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.length - 1;
    if (lines[last] === "") lines[last] = word;
    else if (lines[last]!.length + 1 + word.length <= WIDTH - 8) lines[last] += ` ${word}`;
    else lines.push(word);
  }
  return `  ${{ ok: "ok  ", warn: "warn", bad: "FAIL" }[status]}  ${lines.join("\n        ")}`;
}
