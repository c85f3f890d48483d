/**
 * What a long suite has done, kept between its runs, so that an hour of work can be done in pieces and a stop loses minutes.
 * Only work on the same build counts. `CAMELID_LONG_MINUTES` bounds one run; `CAMELID_LONG_FRESH=1` forgets what was done.
 */
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = join(root, "node_modules/.camelid-long");

/** Of each suite that runs; unlimited unless said otherwise. */
export const MINUTES = Number(process.env.CAMELID_LONG_MINUTES ?? Number.POSITIVE_INFINITY);

/** Pieces of one suite's work that are done. */
export class DoneWork<Piece extends object> {
  readonly pieces: Piece[] = [];
  readonly #file: string;
  readonly #build = buildHash();

  constructor(suite: string) {
    this.#file = join(folder, `${suite}.jsonl`);
    if (process.env.CAMELID_LONG_FRESH === "1") rmSync(this.#file, { force: true });
    if (!existsSync(this.#file)) return;
    for (const line of readFileSync(this.#file, "utf8").split("\n").slice(0, -1)) {
      const { build, ...piece } = JSON.parse(line) as Piece & { build: string };
      if (build === this.#build) this.pieces.push(piece as unknown as Piece);
    }
  }

  add(piece: Piece): void {
    this.pieces.push(piece);
    mkdirSync(folder, { recursive: true });
    appendFileSync(this.#file, `${JSON.stringify({ build: this.#build, ...piece })}\n`);
  }
}

/** A line that is seen at once, whatever the reporter does. */
export function say(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)}  ${line}\n`);
}

function buildHash(): string {
  const hash = createHash("sha256");
  for (const part of ["packages/torch/dist", "packages/torch/native", "packages/camelid/dist", "recipes"]) {
    const names = readdirSync(join(root, part), { recursive: true, encoding: "utf8" }).sort();
    for (const name of names.filter((each) => /\.(js|ts|cc|h)$/.test(each) && !each.endsWith(".d.ts")))
      hash.update(name).update(readFileSync(join(root, part, name)));
  }
  return hash.digest("hex").slice(0, 16);
}
