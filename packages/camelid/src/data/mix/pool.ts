/**
 * Runs jobs on worker threads and gives their results in the order of the jobs.
 * Few jobs are under way at once, so memory stays bounded however many there are.
 */
import { Worker } from "node:worker_threads";
import { InternalError } from "../../errors.js";
import { Inspector, type InspectorSettings } from "./inspect.js";
import { type RowJob, type RowJobResult, runJob } from "./job.js";
import { reviveError, type WorkerReply } from "./worker-messages.js";

export interface JobPool {
  /** Results in job order. Jobs are taken from the iterable a few ahead of the results. */
  run(jobs: Iterable<RowJob>, how?: RunHow): AsyncGenerator<{ job: RowJob; result: RowJobResult }>;
  close(): Promise<void>;
}

export interface RunHow {
  /** Take a job only when the one before it has been dealt with: its ids may depend on it. */
  readonly oneAtATime?: boolean;
}

/** @param threads 0 or 1 works on the calling thread; so do tests, which run the sources untranspiled. */
export async function openPool(threads: number, settings: InspectorSettings): Promise<JobPool> {
  const script = new URL("./worker.js", import.meta.url);
  const canSpawn = import.meta.url.endsWith(".js");
  return threads > 1 && canSpawn
    ? new ThreadPool(threads, script, settings)
    : new InlinePool(await Inspector.open(settings));
}

class InlinePool implements JobPool {
  constructor(readonly inspector: Inspector) {}

  async *run(jobs: Iterable<RowJob>) {
    for (const job of jobs) yield { job, result: await runJob(job, this.inspector) };
  }

  async close() {}
}

/** Two a thread: one being worked on, one waiting, so that no thread idles while results are written. */
const JOBS_AHEAD_PER_THREAD = 2;
/** A job's strings live as long as the job. In the default 48 MB they are copied again and again while it lasts. */
const YOUNG_GENERATION_MB = 144;
/** Encodings are native memory that the collector does not see: it must come by often to let them go. */
const YOUNG_GENERATION_WITH_TOKENS_MB = 24;

class ThreadPool implements JobPool {
  readonly #workers: Worker[];
  readonly #load: number[];
  readonly #waiting = new Map<
    number,
    { resolve: (result: RowJobResult) => void; reject: (error: unknown) => void; worker: number }
  >();
  #next = 0;
  #failure: unknown;

  constructor(threads: number, script: URL, settings: InspectorSettings) {
    this.#load = new Array(threads).fill(0);
    this.#workers = this.#load.map(() => {
      const worker = new Worker(script, {
        workerData: settings,
        resourceLimits: {
          maxYoungGenerationSizeMb:
            settings.tokenizerFolder === undefined ? YOUNG_GENERATION_MB : YOUNG_GENERATION_WITH_TOKENS_MB,
        },
      });
      worker.on("message", (reply: WorkerReply) => this.#settle(reply));
      worker.on("error", (error) => this.#failAll(error));
      worker.on("exit", (code) => {
        if (code !== 0) this.#failAll(new InternalError(`a mixing thread ended with code ${code}.`));
      });
      worker.unref();
      return worker;
    });
  }

  async *run(jobs: Iterable<RowJob>, { oneAtATime = false }: RunHow = {}) {
    const ahead: { job: RowJob; result: Promise<RowJobResult> }[] = [];
    const limit = oneAtATime ? 1 : this.#workers.length * JOBS_AHEAD_PER_THREAD;
    const source = jobs[Symbol.iterator]();
    for (;;) {
      while (ahead.length < limit) {
        const { done, value: job } = source.next();
        if (done) break;
        const result = this.#start(job);
        result.catch(() => {}); // looked at in order below
        ahead.push({ job, result });
      }
      const first = ahead.shift();
      if (first === undefined) return;
      yield { job: first.job, result: await first.result };
    }
  }

  async close() {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #start(job: RowJob): Promise<RowJobResult> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const number = this.#next++;
    const worker = this.#load.indexOf(Math.min(...this.#load));
    this.#load[worker]!++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject, worker });
      this.#workers[worker]!.ref();
      this.#workers[worker]!.postMessage({ number, job });
    });
  }

  #settle(reply: WorkerReply): void {
    const waiting = this.#waiting.get(reply.number)!;
    this.#waiting.delete(reply.number);
    this.#load[waiting.worker]!--;
    if (this.#load[waiting.worker] === 0) this.#workers[waiting.worker]!.unref();
    if ("result" in reply) waiting.resolve(reply.result);
    else waiting.reject(reviveError(reply.error));
  }

  #failAll(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
