/** The thread side of the pool: jobs in, results out. */
import { parentPort, workerData } from "node:worker_threads";
import { Inspector, type InspectorSettings } from "./inspect.js";
import { type RowJob, runJob } from "./job.js";
import { plainError, type WorkerReply } from "./worker-messages.js";

const port = parentPort!;
const inspector = Inspector.open(workerData as InspectorSettings);
inspector.catch(() => {}); // reported with the first job

/** One job at a time: a second one under way would only hold its memory while it waits for the tokenizer. */
let turn: Promise<void> = Promise.resolve();
port.on("message", (message: { number: number; job: RowJob }) => {
  turn = turn.then(() => work(message));
});

async function work({ number, job }: { number: number; job: RowJob }): Promise<void> {
  let reply: WorkerReply;
  const moved: ArrayBuffer[] = [];
  try {
    const result = await runJob(job, await inspector);
    moved.push(result.bytes.buffer as ArrayBuffer, result.lineEnds.buffer as ArrayBuffer);
    reply = { number, result };
  } catch (error) {
    reply = { number, error: plainError(error) };
  }
  port.postMessage(reply, moved);
}
