import { readFileSync } from "node:fs";

/** Peak resident set of this process, bytes. */
export function peakBytes() {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
}
