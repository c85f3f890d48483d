/** Answers of models, from a process of their own that is started when the first is asked for. */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { InternalError } from "../../errors.js";
import type { AnswerPiece } from "../api.js";
import type { AnswerJob, FromWorker, ToWorker } from "./messages.js";

type Listener = (piece: AnswerPiece) => void;

export class Answerer {
  #worker: ChildProcess | undefined;
  #next = 1;
  readonly #listeners = new Map<number, Listener>();
  #lastWords = "";

  /** Pieces until `done` or `error`; the signal ends the answer early, and what was said stands. */
  async *answer(job: Omit<AnswerJob, "id">, signal: AbortSignal): AsyncGenerator<AnswerPiece> {
    const id = this.#next++;
    const pieces: AnswerPiece[] = [];
    let wake = (): void => {};
    this.#listeners.set(id, (piece) => {
      pieces.push(piece);
      wake();
    });
    const cancel = () => this.#tell({ kind: "cancel", id });
    signal.addEventListener("abort", cancel);
    try {
      this.#tell({ kind: "answer", job: { ...job, id } });
      for (;;) {
        const piece = pieces.shift();
        if (piece === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        yield piece;
        if (piece.kind === "done" || piece.kind === "error") return;
      }
    } finally {
      signal.removeEventListener("abort", cancel);
      if (this.#listeners.delete(id) && pieces.length === 0) cancel();
    }
  }

  close(): void {
    this.#worker?.kill("SIGTERM");
  }

  #tell(message: ToWorker): void {
    if (message.kind === "cancel" && this.#worker === undefined) return;
    this.#worker ??= this.#start();
    this.#worker.send(message, () => {}); // a process that just ended is told by its end
  }

  #start(): ChildProcess {
    const script = fileURLToPath(new URL("./worker.js", import.meta.url));
    if (!existsSync(script)) {
      throw new InternalError("the process that answers is not part of this build.", {
        where: script,
        fix: "build with `npm run build`.",
      });
    }
    const worker = fork(script, { stdio: ["ignore", "ignore", "pipe", "ipc"], execArgv: [] });
    this.#lastWords = "";
    worker.stderr?.on("data", (text: Buffer) => {
      this.#lastWords = (this.#lastWords + text.toString("utf8")).slice(-2000);
    });
    worker.on("message", ({ id, piece }: FromWorker) => this.#listeners.get(id)?.(piece));
    worker.on("exit", (code, signal) => this.#ended(worker, code, signal));
    return worker;
  }

  #ended(worker: ChildProcess, code: number | null, signal: string | null): void {
    if (this.#worker === worker) this.#worker = undefined;
    const how =
      signal === null
        ? `with code ${code}`
        : `by ${signal}${signal === "SIGKILL" ? ", most likely for want of memory" : ""}`;
    const error = {
      code: "ERR_STUDIO_ANSWERER",
      message: `the process that computes answers ended ${how}.`,
      ...(this.#lastWords.trim() === ""
        ? {}
        : { where: this.#lastWords.trim().split("\n").slice(-6).join("\n") }),
      fix: "ask again; it is started anew. A smaller model needs less memory.",
    };
    for (const listener of [...this.#listeners.values()]) listener({ kind: "error", error });
  }
}
