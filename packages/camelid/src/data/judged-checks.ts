/** What can be wrong with judged answers that are each usable by themselves. */
import { createHash } from "node:crypto";
import type { Check } from "../run/checks.js";
import type { JudgedAccount, JudgedRow } from "./judged-rows.js";

/** Where the paper found KTO to work (its equation 8): desirable to undesirable answers, weighted. */
const LEAST = 1;
const MOST = 4 / 3;
/** A little outside is no reason for a warning. */
const SLACK = 0.05;

/** Answers of each kind, times their weights. Of one kind only, the model learns to say more, or less, of everything. */
export function balanceCheck(
  account: readonly JudgedAccount[],
  { desirableWeight, undesirableWeight }: { desirableWeight: number; undesirableWeight: number },
): Check {
  const name = "balance";
  const sum = (key: "desirable" | "undesirable") => account.reduce((total, source) => total + source[key], 0);
  const [good, bad] = [sum("desirable"), sum("undesirable")];
  if (good === 0 || bad === 0) {
    const detail = `all ${good + bad} answers are ${good === 0 ? "undesirable" : "desirable"}`;
    return {
      name,
      status: "warn",
      detail,
      fix: "give answers of both kinds; for good ones alone, `camelid sft`.",
    };
  }
  const ratio = (desirableWeight * good) / (undesirableWeight * bad);
  const detail = `${good} desirable and ${bad} undesirable answers, ${ratio.toFixed(2)} : 1 with their weights`;
  if (ratio >= LEAST - SLACK && ratio <= MOST + SLACK) return { name, status: "ok", detail };
  const weight = good < bad ? undesirableWeight * (bad / good) : desirableWeight * (good / bad);
  const flag = good < bad ? "--desirable-weight" : "--undesirable-weight";
  return {
    name,
    status: "warn",
    detail,
    fix: `the paper finds 1 : 1 to 4 : 3 to work: ${flag} ${weight.toFixed(2)}.`,
  };
}

/** Rows that `maxSeqLen` shortens; a desirable answer without its end teaches not to stop. @param lines of such answers */
export function judgedCutCheck(
  account: readonly JudgedAccount[],
  lines: readonly string[],
  maxSeqLen: number,
): Check {
  const name = "length";
  const cut = account.reduce((total, source) => total + source.cut, 0);
  if (cut === 0)
    return { name, status: "ok", detail: `no row is longer than ${maxSeqLen} tokens; nothing is cut` };
  const ends =
    lines.length === 0 ? "" : `; ${lines.length} desirable answers lose their end: ${excerpt(lines)}`;
  const detail = `${cut} rows are cut at ${maxSeqLen} tokens${ends}`;
  return { name, status: "warn", detail, fix: "raise maxSeqLen, or take these rows out of the file." };
}

/** The same answer called good and bad pulls both ways; the same twice counts twice. */
export function repeatedAnswersCheck(rows: readonly JudgedRow[]): Check {
  const name = "repeated answers";
  const seen = new Map<string, JudgedRow>();
  const against: string[] = [];
  let again = 0;
  for (const row of rows) {
    const { buffer, byteOffset, byteLength } = row.chosen.inputIds;
    const key = createHash("sha1")
      .update(new Uint8Array(buffer, byteOffset, byteLength))
      .digest("base64");
    const before = seen.get(key);
    if (before === undefined) seen.set(key, row);
    else if (before.desirable === row.desirable) again++;
    else against.push(`${before.id} and ${row.id}`);
  }
  if (again === 0 && against.length === 0)
    return { name, status: "ok", detail: `${rows.length} rows, none twice, none judged both ways` };
  const parts = [
    ...(against.length > 0 ? [`${against.length} answers are judged both ways: ${excerpt(against)}`] : []),
    ...(again > 0 ? [`${again} come twice`] : []),
  ];
  const fix =
    "decide between opposite judgements; remove rows that come twice, unless they are meant to count twice.";
  return { name, status: "warn", detail: parts.join("; "), fix };
}

const excerpt = (items: readonly string[]): string =>
  items.length <= 3 ? items.join(", ") : `${items.slice(0, 3).join(", ")} and ${items.length - 3} more`;
