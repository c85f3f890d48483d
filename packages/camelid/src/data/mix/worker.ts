/** The thread side of the pool: jobs in, results out. */
import { parentPort, workerData } from "node:worker_threads";
import { Inspector, type InspectorSettings } from "./inspect.js";
import { type RowJob, runJob } from "./job.js";
import { plainError, type WorkerReply } from "./worker-messages.js";

const port = parentPort!;
const inspector = Inspector.open(workerData as InspectorSettings);
inspector.catch(() => {}); // reported with the first job

port.on("message", async ({ number, job }: { number: number; job: RowJob }) => {
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
});
