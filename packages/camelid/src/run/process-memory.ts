/** What the system says of this process's memory. */
import { readFileSync } from "node:fs";

export interface ProcessMemory {
  /** The most that have been in memory at a time: resident. */
  peakBytes: number;
  /** Of what is resident, pages of files: program, libraries, mapped weights. Linux only, else 0. */
  fileBytes: number;
}

export function readProcessMemory(): ProcessMemory {
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    const bytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1024;
    return {
      peakBytes: bytes("VmHWM") || peakBytes,
      fileBytes: bytes("RssFile"),
    };
  } catch {
    return { peakBytes, fileBytes: 0 };
  }
}
