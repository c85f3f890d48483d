import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { installation } from "@camelid/torch";
import type { Check } from "../../run/checks.js";

/** What a process that loads the engine says about it. */
export type EngineAnswer =
  | { installation: Pick<ReturnType<typeof installation>, Reported>; threads: number }
  | { error: { message: string; where?: string; fix?: string } };

type Reported = "version" | "cpuCapability" | "devices" | "binding" | "kernelCompiler" | "cudaParts";

const SETUP = "run `npx camelid setup`.";

/** What libtorch is there, where it comes from and what it can use; or why it does not load. */
export async function engineChecks(ask: () => Promise<EngineAnswer> = askEngine): Promise<Check[]> {
  const answer = await ask();
  if ("error" in answer) return [failure(answer.error)];
  const { version, cpuCapability, devices, binding } = answer.installation;
  return [
    { name: "libtorch", status: "ok", detail: `${version}, ${found(binding.origin)}: ${binding.libtorch}` },
    { name: "binding", status: "ok", detail: `${binding.key}, built by ${binding.compiler}` },
    { name: "CPU", status: "ok", detail: `${cpuCapability}, ${answer.threads} threads` },
    devicesCheck(devices, existsSync("/dev/nvidiactl"), process.env.CAMELID_NO_CUDA === "1"),
    ...cudaChecks(answer.installation),
    ...kernelsCheck(devices, answer.installation.kernelCompiler, process.env.CAMELID_CUDA_KERNELS === "0"),
  ];
}

/** What more than libtorch's own kernels a GPU can be used for; nothing where set-up found no use for a GPU. */
function cudaChecks({ binding, cudaParts }: Pick<ReturnType<typeof installation>, Reported>): Check[] {
  if (binding.cuda === undefined) return [];
  const parts = cudaParts.map((part) => (part === "nccl" ? "NCCL" : "CUDA graphs")).join(", ");
  const { missing } = binding.cuda;
  if (missing === undefined && parts !== "") return [{ name: "CUDA part", status: "ok", detail: parts }];
  const detail = [parts || "not loaded", missing].filter((text) => text !== undefined).join("; ");
  return [
    {
      name: "CUDA part",
      status: "warn",
      detail,
      fix: `install CUDA's headers, or set CUDA_HOME; then ${SETUP}`,
    },
  ];
}

/** @param compiler NVRTC, which our CUDA kernels need at run time */
export function kernelsCheck(
  devices: readonly string[],
  compiler: string | undefined,
  switchedOff: boolean,
): Check[] {
  if (!devices.some((device) => device.startsWith("cuda"))) return [];
  const name = "CUDA kernels";
  if (switchedOff) return [{ name, status: "ok", detail: "off (CAMELID_CUDA_KERNELS=0)" }];
  if (compiler !== undefined) return [{ name, status: "ok", detail: `compiled when needed by ${compiler}` }];
  return [
    {
      name,
      status: "warn",
      detail: "NVRTC was not found: libtorch's operators do the work, slower and with more memory",
      fix: "name the library with CAMELID_NVRTC (a file like libnvrtc.so.13; NVIDIA's package nvidia-cuda-nvrtc has it).",
    },
  ];
}

/** @param driver whether an NVIDIA driver is there */
export function devicesCheck(devices: readonly string[], driver: boolean, noCuda: boolean): Check {
  const detail = devices.join(", ");
  if (!driver || devices.length > 1) return { name: "devices", status: "ok", detail };
  const fix = noCuda
    ? "CAMELID_NO_CUDA=1 leaves the GPU out."
    : "this libtorch is built without CUDA, or does not fit the driver: point CAMELID_LIBTORCH at one that does, and run `npx camelid setup`.";
  return { name: "devices", status: "warn", detail: `${detail}; an NVIDIA driver is there`, fix };
}

function found(origin: string): string {
  switch (origin) {
    case "CAMELID_LIBTORCH":
      return "named by CAMELID_LIBTORCH";
    case "python":
      return "Python's own";
    case "cache":
      return "in the cache";
    default:
      return origin;
  }
}

function failure({ message, where, fix }: { message: string; where?: string; fix?: string }): Check {
  const detail = where === undefined ? message : `${message} ${where}`;
  return { name: "libtorch", status: "fail", detail, fix: fix ?? SETUP };
}

/**
 * Asks in a process of its own: a library built for another processor ends its process without a word, and this one has
 * to tell what happened.
 */
export function askEngine(): Promise<EngineAnswer> {
  let engine: string;
  try {
    engine = createRequire(import.meta.url).resolve("@camelid/torch");
  } catch (error) {
    const message = `@camelid/torch is not built: ${(error as Error).message.split("\n")[0]}`;
    return Promise.resolve({ error: { message, fix: SETUP } });
  }
  return askModule(pathToFileURL(engine).href);
}

/** @param url the module that is @camelid/torch */
export function askModule(url: string): Promise<EngineAnswer> {
  const program = `import(${JSON.stringify(url)}).then((torch) => {
    const sum = torch.ones([2]).sum().item();
    if (sum !== 2) throw new Error("1 + 1 is " + sum);
    const { version, cpuCapability, devices, binding, kernelCompiler, cudaParts } = torch.installation();
    const installation = { version, cpuCapability, devices, binding, kernelCompiler, cudaParts };
    return { installation, threads: torch.getNumThreads() };
  }).catch(({ message, where, fix }) => ({ error: { message, where, fix } }))
    .then((answer) => process.stdout.write(JSON.stringify(answer)))`;
  return new Promise((resolve) => {
    execFile(process.execPath, ["-e", program], { timeout: 60_000 }, (error, out, err) => {
      try {
        resolve(JSON.parse(out) as EngineAnswer);
      } catch {
        const reason = error?.signal ?? err.trim().split("\n").at(-1) ?? "no answer";
        resolve({ error: { message: `loading the engine ended its process (${reason}).`, fix: SETUP } });
      }
    });
  });
}
