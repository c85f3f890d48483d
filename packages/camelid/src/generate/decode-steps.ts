/**
 * The step that writing mostly consists of: one new token of each of a few texts. A pass over it is hundreds of small kernels, which a
 * host gives a fast GPU more slowly than it computes them. So its shapes are filled up to few sizes, everything that changes lies in
 * one tensor on the device, and on CUDA each size is recorded once and replayed as a whole. The host reads nothing inside.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { blocksFor, type KvBlocks } from "../model/kv-cache.js";
import type { LanguageModel } from "../model/language-model.js";
import type { PlannedRow } from "./scheduler.js";
import { chosenOutcomes, type EngineSequence, type Outcome, type WrittenSequence } from "./step.js";

/**
 * - `plain`: like every other step, in the shapes that come.
 * - `fixed`: in the sizes below, operator by operator; on any device, and what `graph` falls back to.
 * - `graph`: in the sizes below, recorded and replayed; CUDA only.
 */
export type DecodeMode = "plain" | "fixed" | "graph";

type DecodeRow = PlannedRow<EngineSequence> & { sequence: WrittenSequence };

/** Tables are filled up to a power of two of blocks, at least so many: 128 tokens. */
const LEAST_BLOCKS = 8;

interface Shape {
  /** [rows, 2 + blocks] int32: id, position, table of blocks */
  input: Tensor;
  graph: torch.DeviceGraph | undefined;
}

export class DecodeSteps implements Disposable {
  readonly #model: LanguageModel;
  readonly #blocks: KvBlocks;
  readonly #shapes = new Map<string, Shape>();
  #mode: DecodeMode;
  #because: string | undefined;

  constructor(model: LanguageModel, blocks: KvBlocks, mode: DecodeMode) {
    this.#model = model;
    this.#blocks = blocks;
    this.#mode = mode;
  }

  /** How steps are done now, and why not as it was asked for. */
  get state(): { mode: DecodeMode; because?: string; graphs: number } {
    const graphs = [...this.#shapes.values()].filter(({ graph }) => graph !== undefined).length;
    return {
      mode: this.#mode,
      ...(this.#because === undefined ? {} : { because: this.#because }),
      graphs,
    };
  }

  serves(rows: readonly PlannedRow<EngineSequence>[]): rows is readonly DecodeRow[] {
    if (this.#mode === "plain") return false;
    return rows.every(
      ({ sequence, position, count }) =>
        sequence.kind === "written" && count === 1 && position + 1 === sequence.tokens.length,
    );
  }

  run(rows: readonly DecodeRow[]): Outcome[] {
    return torch.noGrad(() => {
      using _ = torch.tensorScope();
      const logits = this.#logits(rows).narrow(0, 0, rows.length);
      return chosenOutcomes(
        logits,
        rows.map(({ sequence }) => sequence),
      );
    });
  }

  /** [rows or more, vocab]; a graph's own memory, good until the next step */
  #logits(rows: readonly DecodeRow[]): Tensor {
    const count = powerOfTwo(rows.length);
    const tables = powerOfTwo(Math.max(LEAST_BLOCKS, ...rows.map(({ position }) => blocksFor(position + 1))));
    const shape = this.#shape(count, tables);
    const { device } = this.#model;
    shape.input.copy_(torch.tensor(filledUp(rows, count, tables), { shape: [count, 2 + tables], device }));
    if (this.#mode === "graph" && shape.graph === undefined) this.#record(shape);
    if (shape.graph === undefined) return this.#pass(shape.input);
    shape.graph.replay();
    return shape.graph.output;
  }

  #shape(rows: number, tables: number): Shape {
    const key = `${rows} ${tables}`;
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      const { device } = this.#model;
      const input = torch.outsideScopes(() => torch.zeros([rows, 2 + tables], { dtype: "int32", device }));
      shape = { input, graph: undefined };
      this.#shapes.set(key, shape);
    }
    return shape;
  }

  /** Everything from ids to logits, without a look at any value. */
  #pass(input: Tensor): Tensor {
    const wide = input.to({ dtype: "int64" });
    const positions = wide.select(1, 1);
    const tables = wide.narrow(1, 2, wide.shape[1]! - 2);
    const rows = { inputIds: wide.select(1, 0), positions, lengths: Array<number>(wide.shape[0]!).fill(1) };
    const hidden = this.#model.hiddenStates(rows, this.#blocks.fixedRows(tables, positions));
    return torch.linear(hidden, this.#model.headWeight);
  }

  /** The first pass of a size is an ordinary one: it makes what kernels keep. Keys and values are stored again with the same values. */
  #record(shape: Shape): void {
    torch.tensorScope(() => {
      this.#pass(shape.input);
    });
    try {
      shape.graph = torch.recordGraph(this.#model.device, () => this.#pass(shape.input));
    } catch (error) {
      this.#mode = "fixed";
      this.#because = (error as Error).message;
      for (const other of this.#shapes.values()) {
        other.graph?.[Symbol.dispose]();
        other.graph = undefined;
      }
      process.emitWarning(`decoding goes on without CUDA graphs: ${this.#because}`, {
        code: "CAMELID_NO_GRAPHS",
      });
    }
  }

  [Symbol.dispose](): void {
    for (const { input, graph } of this.#shapes.values()) {
      graph?.[Symbol.dispose]();
      input.dispose();
    }
    this.#shapes.clear();
  }
}

/** Rows that nobody asked for are the first one again: they store what it stores, in the same place. */
function filledUp(rows: readonly DecodeRow[], count: number, tables: number): Int32Array {
  const width = 2 + tables;
  const filled = new Int32Array(count * width);
  for (let r = 0; r < count; r++) {
    const { sequence, position, blocks } = rows[r] ?? rows[0]!;
    const used = blocksFor(position + 1);
    filled[r * width] = sequence.tokens[position]!;
    filled[r * width + 1] = position;
    for (let i = 0; i < tables; i++) filled[r * width + 2 + i] = blocks[i < used ? i : 0]!;
  }
  return filled;
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}
