/**
 * Where programs written by a model run: CPython for WASI, a fresh interpreter per program, on threads that are ended when
 * the time is over. The threads hold no capability that a program could borrow: see `wasi-host.ts` for everything it can
 * reach, `driver.ts` for why a pass is a pass, and docs/guides/evaluation.md for what this does not protect from.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { InternalError, ModelError } from "../../errors.js";
import { compilePython, PAGE_BYTES } from "./python-module.js";
import { type ProgramRun, timedOut } from "./run-program.js";
import { DEFAULT_LIMITS, type Program, type ProgramVerdict, type SandboxLimits } from "./verdict.js";
import type { SandboxReply, SandboxWorkerData } from "./worker.js";

export interface Sandbox extends AsyncDisposable {
  /** Waits for a free thread. A program that is harmful, endless or wrong is a verdict, never an error. */
  run(program: Program): Promise<ProgramVerdict>;
}

export interface SandboxSettings extends Partial<SandboxLimits> {
  /** Programs at once. */
  readonly parallel: number;
}

/** An interpreter that is not up by then never will be: the machine is out of memory or badly overloaded. */
const START_LIMIT_MS = 60_000;
/** Worked memory of old interpreters goes back when the thread does. */
const PROGRAMS_PER_THREAD = 64;
const IDLE_MS = 2000;
/** Deep recursion of Python's own C code ends in a RecursionError before it ends this. */
const STACK_MB = 16;

/** @throws {ModelError} ERR_SANDBOX_PYTHON when the interpreter is missing or altered */
export async function openSandbox(settings: SandboxSettings): Promise<Sandbox> {
  const limits = { ...DEFAULT_LIMITS, ...settings };
  const memoryBytes = Math.floor(limits.memoryBytes / PAGE_BYTES) * PAGE_BYTES;
  const module = await compilePython(memoryBytes);
  return new ThreadedSandbox({ module, memoryBytes }, limits, Math.max(1, Math.floor(settings.parallel)));
}

interface Job {
  readonly run: ProgramRun;
  resolve(verdict: ProgramVerdict): void;
  reject(error: unknown): void;
}

class ThreadedSandbox implements Sandbox {
  readonly #waiting: Job[] = [];
  readonly #threads = new Set<Thread>();
  #idle: NodeJS.Timeout | undefined;

  constructor(
    readonly data: SandboxWorkerData,
    readonly limits: SandboxLimits,
    readonly parallel: number,
  ) {}

  run(program: Program): Promise<ProgramVerdict> {
    clearTimeout(this.#idle);
    const run = programRun(program, this.limits);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject });
      this.#startWork();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new InternalError("the code sandbox was closed.");
    for (const job of this.#waiting.splice(0)) job.reject(ended);
    await Promise.all([...this.#threads].map((thread) => thread.end(ended)));
    this.#threads.clear();
  }

  /** Threads that have nothing to do give their memory back. */
  #endSoon(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      const idle = [...this.#threads];
      this.#threads.clear();
      for (const thread of idle) void thread.end(undefined);
    }, IDLE_MS);
    this.#idle.unref();
  }

  #startWork(): void {
    while (this.#waiting.length > 0) {
      let thread = [...this.#threads].find((one) => !one.busy);
      if (thread === undefined) {
        if (this.#threads.size >= this.parallel) return;
        thread = new Thread(this.data);
        this.#threads.add(thread);
      }
      const taken = thread;
      const job = this.#waiting.shift()!;
      void taken.run(job).then((reusable) => {
        if (!reusable) this.#threads.delete(taken);
        this.#startWork();
        if ([...this.#threads].every(({ busy }) => !busy)) this.#endSoon();
      });
    }
  }
}

/** A worker thread and the watch over it. */
class Thread {
  busy = false;
  readonly #worker: Worker;
  #programs = 0;
  #onReply: (reply: SandboxReply) => void = () => {};
  #abandon: (error: unknown) => void = () => {};

  constructor(data: SandboxWorkerData) {
    this.#worker = new Worker(workerScript(), {
      workerData: data,
      env: {},
      argv: [],
      execArgv: [],
      resourceLimits: { stackSizeMb: STACK_MB },
    });
    this.#worker.on("message", (reply: SandboxReply) => this.#onReply(reply));
    this.#worker.on("error", (error: Error) => this.#onReply({ verdict: crashed(error.message) }));
    this.#worker.on("exit", (code) =>
      this.#onReply({ verdict: crashed(`the thread ended with code ${code}`) }),
    );
    this.#worker.unref();
  }

  /** Settles the job; resolves to whether the thread can take another one. Never rejects. */
  async run(job: Job): Promise<boolean> {
    this.busy = true;
    this.#worker.ref();
    try {
      const verdict = await this.#verdict(job.run);
      const reusable = KEEPS_THREAD.has(verdict.outcome) && ++this.#programs < PROGRAMS_PER_THREAD;
      if (!reusable) await this.#worker.terminate();
      this.busy = !reusable; // who waits for the verdict may ask for a thread at once, and must not get an ended one
      job.resolve(verdict);
      return reusable;
    } catch (error) {
      job.reject(error);
      return false;
    } finally {
      this.#worker.unref();
    }
  }

  async #verdict(run: ProgramRun): Promise<ProgramVerdict> {
    const { timeLimitMs } = run;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<ProgramVerdict>((resolve, reject) => {
        const watch = (ms: number, verdict: ProgramVerdict) => {
          clearTimeout(timer);
          timer = setTimeout(() => resolve(verdict), ms);
        };
        let started = false;
        timer = setTimeout(() => reject(notStarted(`within ${START_LIMIT_MS / 1000} s`)), START_LIMIT_MS);
        this.#onReply = (reply) => {
          // A message may wait while the main thread computes; the worker's own clock then decides.
          if ("started" in reply) watch(timeLimitMs, timedOut(timeLimitMs));
          else if (started) resolve(reply.verdict);
          else reject(notStarted(`(${reply.verdict.detail})`));
          started = true;
        };
        this.#abandon = reject;
        this.#worker.postMessage(run);
      });
    } finally {
      clearTimeout(timer);
      this.#onReply = () => {};
    }
  }

  async end(reason: unknown): Promise<void> {
    this.#abandon(reason);
    await this.#worker.terminate();
  }
}

/** After anything else the thread is ended with the program. */
const KEEPS_THREAD = new Set(["passed", "failed"]);

/** No verdict about the program: the item is counted as failed, not as wrong. */
function notStarted(how: string): ModelError {
  return new ModelError("ERR_SANDBOX_START", `the Python of the code sandbox did not start ${how}.`, {
    fix: "free memory or processors, or run fewer programs at once: --concurrency. The same command goes on.",
  });
}

function crashed(detail: string): ProgramVerdict {
  return { outcome: "crashed", detail, output: "", seconds: 0 };
}

function programRun(
  { program, test, entryPoint = "", prompt = "" }: Program,
  limits: SandboxLimits,
): ProgramRun {
  const marker = randomBytes(16).toString("hex");
  const imports = importedModules(`${test}\n${prompt}`).join(" ");
  const parts = [program, test, entryPoint, prompt, imports].map((part) => Buffer.from(part, "utf8"));
  const head = `${marker}\n${parts.map((part) => part.length).join(" ")}\n`;
  return {
    marker,
    input: Uint8Array.from(Buffer.concat([Buffer.from(head), ...parts])),
    outputBytes: limits.outputBytes,
    timeLimitMs: limits.timeLimitMs,
  };
}

/** Modules that tests or a prompt import by a line of its own. */
function importedModules(source: string): string[] {
  const found = [...source.matchAll(/^[ \t]*(?:import|from)[ \t]+(\w+)/gm)].map(([, name]) => name!);
  return [...new Set(["math", ...found])];
}

/** Threads run compiled code; where the sources themselves are run (tests), the build beside them. */
function workerScript(): URL {
  const beside = new URL("./worker.js", import.meta.url);
  if (import.meta.url.endsWith(".js")) return beside;
  const built = new URL("../../../dist/eval/sandbox/worker.js", import.meta.url);
  if (existsSync(built)) return built;
  throw new InternalError("the code sandbox is not built.", { fix: "npm run build" });
}
