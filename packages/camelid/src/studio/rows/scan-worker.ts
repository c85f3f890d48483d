/** The thread of {@link scanInThread}. */
import { parentPort, workerData } from "node:worker_threads";
import { runScan, type Scan } from "./scan.js";

const answer = await runScan(workerData as Scan);
parentPort?.postMessage(answer, [answer.buffer as ArrayBuffer]);
